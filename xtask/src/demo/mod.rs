//! `cargo xtask demo`: the problem with plain Docker, and what becomes of it, on a private Docker.
//!
//! Each scene shows the commands that it runs, as a user would type them, and what they answered. The last
//! lines say what was shown; each is true only if its scene held.

mod scenes;
mod stage;

use e2e::{Host, Outcome, image::make_tiny_images, namespaces::Place, progress::step};
use scenes::SCENES;
use stage::Stage;

/// Plays every scene. The exit code is 0 only if all of them held.
pub(crate) fn run(place: Place) -> Outcome<u8> {
    let host = step(
        "starting a private Docker and cofferdamd, making a tiny image",
        || {
            let host = Host::raise(place)?;
            make_tiny_images(&host)?;
            Ok(host)
        },
    )?;
    let mut stage = Stage::new(host);
    let mut shown = Vec::new();
    for scene in SCENES {
        stage.title(scene.title);
        let result = (scene.play)(&mut stage);
        if let Err(failure) = &result {
            println!("\n  This did not hold: {failure}");
        }
        shown.push((scene.shown, result.is_ok()));
    }
    stage.close()?;
    println!("\nWhat was shown:");
    for (line, held) in &shown {
        println!("  {} {line}", if *held { "✓" } else { "✗" });
    }
    Ok(u8::from(!shown.iter().all(|(_, held)| *held)))
}
