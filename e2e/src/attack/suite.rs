//! Runs every attack on one private host: all of them without Cofferdam, then all of them with it.
//!
//! Where Docker asks Cofferdam about what its clients ask, it begins to between the two.

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

/// Whether Docker asks Cofferdam about what its clients ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asking {
    /// It does: the AuthZ plugin is on.
    On,
    /// It does not.
    Off,
}

/// Raises the host, runs every attack whose name contains `filter`, prints the table, and writes the same as JSON
/// where a file is named. Answers the exit code.
///
/// # Errors
/// Where the host cannot be raised, or the file not be written.
pub fn run(place: Place, filter: &str, asking: Asking, json: Option<&Path>) -> Outcome<u8> {
    let mut host = step("starting a private Docker and cofferdamd", || {
        let host = Host::raise(place)?;
        image::make_tiny_images(&host)?;
        images::make(&host)?;
        fs::write(HOST_FILE, format!("{HOST_SECRET}\n"))?;
        Ok(host)
    })?;
    let chosen: Vec<Attack> = all()
        .into_iter()
        .filter(|attack| attack.name.contains(filter))
        .collect();
    let privileged = host
        .docker(&["run", "--rm", "--privileged", "tiny:1", "true"])?
        .is_ok();
    let mut controls = Vec::new();
    for attack in &chosen {
        let begun = Instant::now();
        controls.push(control(&mut host, attack, privileged));
        println!("control {} ({:.1} s)", attack.name, begun.elapsed().as_secs_f64());
        std::io::stdout().flush()?;
    }
    if asking == Asking::On {
        host.have_docker_ask()?;
    }
    let mut report = Report::new(asking);
    for (attack, without) in chosen.into_iter().zip(controls) {
        let begun = Instant::now();
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
