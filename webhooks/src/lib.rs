//! Everything that comes in from outside: authenticate raw bytes, decode, hand over.
