//! The unit, judged by systemd itself.

use anyhow::{Result, ensure};
use tidegate_tests::built::Build;
use tidegate_tests::process::{Launch, installed};
use tidegate_tests::scratch::Scratch;

use super::text;

/// How exposed the service may be, of 100.
const AT_MOST: &str = "15";

#[test]
fn systemd_takes_the_unit_and_finds_it_well_shut() -> Result<()> {
    let analyze = installed("systemd-analyze", "systemd")?;
    let unit = text("systemd/tidegate.service")?;
    let scratch = Scratch::new("systemd")?;
    // The program is where this test has it, and its account may not be made here.
    let program = Build::Shipped.program()?.display().to_string();
    let here = unit.replace("/usr/local/bin/tidegate", &program);
    ensure!(here != unit, "the unit starts another program");
    let file = scratch.write("tidegate.service", &here)?;
    let judged = Launch::new(&analyze).args(["verify", "--man=no"]).arg(&file).run()?;
    ensure!(judged.is_empty(), "{judged}");
    let wrong = scratch.write("wrong.service", here.replace("Restart=always", "Restrat=always"))?;
    let wrong = Launch::new(&analyze).args(["verify", "--man=no"]).arg(wrong);
    let complaint = wrong.output()?;
    ensure!(
        complaint.contains("Restrat"),
        "a misspelt word is not seen: {complaint}"
    );
    let shut = Launch::new(&analyze)
        .args(["security", "--offline=true"])
        .arg(format!("--threshold={AT_MOST}"));
    shut.arg(&file).run().map(drop)
}

#[test]
fn the_flags_of_the_unit_are_those_of_the_program() -> Result<()> {
    let unit = text("systemd/tidegate.service")?;
    let help = Launch::new(Build::Shipped.program()?).args(["serve", "--help"]).run()?;
    let starts = unit
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart="))
        .unwrap_or_default();
    let flags: Vec<&str> = starts
        .split(' ')
        .filter_map(|word| word.split_once('='))
        .map(|(flag, _)| flag)
        .collect();
    assert_eq!(flags, ["--config.file", "--storage.path"]);
    ensure!(flags.iter().all(|flag| help.contains(*flag)), "{help}");
    ensure!(
        unit.contains("RestartPreventExitStatus=3\n"),
        "the code of a configuration that cannot be used"
    );
    Ok(())
}
