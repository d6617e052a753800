//! Runs every attack, first without Cofferdam and then with it, on one private host.

use super::{
    all,
    case::{Attack, Control},
    evidence::Evidence,
    ground::{Ground, HOST_FILE, HOST_SECRET, Side},
    images,
    report::{Line, Report},
};
use crate::{Host, Outcome, failure::During, image, namespaces::Place, progress::step};
use std::{fs, io::Write, path::Path, time::Instant};

/// The attacks whose name contains `filter`, one a line.
pub fn list(filter: &str) -> String {
    let chosen = all().into_iter().filter(|attack| attack.name.contains(filter));
    chosen
        .map(|attack| {
            let Attack {
                name,
                attacker,
                act,
                expected,
                ..
            } = attack;
            format!("{name}: {attacker} {act}; {expected}\n")
        })
        .collect()
}

/// Raises the host, runs every attack whose name contains `filter`, prints the table, and writes the same as JSON
/// where a file is named. Answers the exit code.
///
/// # Errors
/// Where the host cannot be raised, or the file not be written.
pub fn run(place: Place, filter: &str, json: Option<&Path>) -> Outcome<u8> {
    let mut host = step("starting a private Docker and cofferdamd", || {
        let host = Host::raise(place)?;
        image::make_tiny_images(&host)?;
        images::make(&host)?;
        fs::write(HOST_FILE, format!("{HOST_SECRET}\n"))?;
        Ok(host)
    })?;
    let chosen = all().into_iter().filter(|attack| attack.name.contains(filter));
    let privileged = host
        .docker(&["run", "--rm", "--privileged", "tiny:1", "true"])?
        .is_ok();
    let mut report = Report::default();
    for attack in chosen {
        let begun = Instant::now();
        let without = control(&mut host, &attack, privileged);
        let line = Line::judge(&attack, without, attempt(&mut host, &attack, Side::Guarded));
        println!("{} ({:.1} s)", line.short(), begun.elapsed().as_secs_f64());
        std::io::stdout().flush()?;
        report.push(line);
    }
    print!("\n{report}");
    if let Some(file) = json {
        fs::write(file, report.json()?).during(file.display())?;
    }
    if host.daemon.runs() {
        host.daemon.stop()?;
    }
    host.engine.stop()?;
    Ok(u8::from(!report.holds()))
}

/// Without Cofferdam; nothing where there is no such act.
fn control(host: &mut Host, attack: &Attack, privileged: bool) -> Option<Outcome<Evidence>> {
    let possible = match attack.control {
        Control::Succeeds => true,
        Control::WherePrivileged => privileged,
        Control::Impossible(_) => false,
    };
    possible.then(|| attempt(host, attack, Side::Control))
}

/// One side of an attack, and the clearing up after it.
fn attempt(host: &mut Host, attack: &Attack, side: Side) -> Outcome<Evidence> {
    let mut ground = Ground::new(host, side);
    let result = ground.scene.open().and_then(|()| (attack.body)(&mut ground));
    let cleared = ground.clear().during("afterwards");
    let evidence = result?;
    cleared?;
    Ok(evidence)
}
