//! The configuration: what wins, what is refused and how, what a reload changes, and what never shows.

mod egress;
mod faults;
mod precedence;
mod reload;
mod secrets;
mod written;
