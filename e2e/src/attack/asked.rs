//! Requests that are written so that whoever Docker asks about them does not see what Docker would do.
//!
//! Each of them would have runc start a container that has the host's `/etc`: no runtime of ours is asked.

use super::{
    api::{Framing, run_made, send},
    case::{Attack, Attacker::Client},
    evidence::Evidence,
    ground::{Ground, HOST_FILE, HOST_SECRET},
};
use crate::{Outcome, failure::During};
use std::{fs, os::unix::fs::symlink, path::Path};

const EXPECTED: &str = "whoever is asked reads a request as Docker does, or refuses it";

const fn attack(
    name: &'static str,
    act: &'static str,
    words: &'static [&'static str],
    body: fn(&mut Ground) -> Outcome<Evidence>,
) -> Attack {
    Attack::new(name, Client, act, EXPECTED, body).told(words)
}

/// It was read as Docker reads it.
const READ: &[&str] = &["the runtime", "runc"];

/// What readers may differ on is not done.
const TWICE: &[&str] = &["more than once"];

/// Versions of Docker differ on whether it is shown: any sentence of ours will do.
const SEEN_OR_NOT: &[&str] = &[];

/// What was not shown is not done.
const HIDDEN: &[&str] = &["did not arrive"];

pub(super) const ATTACKS: &[Attack] = &[
    attack(
        "asked::in_another_case",
        "writes the keys in other letters",
        READ,
        |ground| {
            by(
                ground,
                CREATE,
                &plain()
                    .replace("HostConfig", "hOSTcONFIG")
                    .replace("Runtime", "RUNTIME"),
            )
        },
    ),
    attack(
        "asked::in_letters_that_fold",
        "writes a key with a long s, which Go takes for an s",
        READ,
        |ground| by(ground, CREATE, &plain().replace("HostConfig", "HoſtConfig")),
    ),
    attack(
        "asked::twice",
        "writes what he wants first, and what is harmless beside it",
        TWICE,
        |ground| {
            by(
                ground,
                CREATE,
                &plain().replace("\"HostConfig\"", "\"HostConfig\":{\"Binds\":[]},\"HostConfig\""),
            )
        },
    ),
    attack(
        "asked::twice_in_another_case",
        "writes the runtime twice, the second in other letters",
        TWICE,
        |ground| {
            by(
                ground,
                CREATE,
                &plain().replace("\"Runtime\"", "\"Runtime\":\"cofferdam\",\"runtime\""),
            )
        },
    ),
    attack(
        "asked::by_an_escape",
        "writes letters of the keys and of the runtime as escapes",
        READ,
        |ground| {
            let escaped = plain()
                .replace("Runtime", "Runt\\u0069me")
                .replace("Binds", "B\\u0069nds");
            by(ground, CREATE, &escaped.replace("runc", "r\\u0075nc"))
        },
    ),
    attack(
        "asked::beside_where_it_belongs",
        "writes it where Docker took it from in its first years",
        READ,
        |ground| {
            by(
                ground,
                CREATE,
                &plain().replacen("\"HostConfig\":{", "", 1).replacen("}}", "}", 1),
            )
        },
    ),
    attack(
        "asked::with_more_behind_it",
        "writes a second, harmless request behind the first",
        READ,
        |ground| by(ground, CREATE, &format!("{}{{\"Image\":\"tiny:1\"}}", plain())),
    ),
    attack(
        "asked::at_length",
        "writes more than Docker shows (CVE-2024-41110)",
        HIDDEN,
        |ground| by(ground, CREATE, &format!("{}{}", " ".repeat(2 << 20), plain())),
    ),
    attack(
        "asked::in_pieces",
        "sends it in pieces, of which nobody sees any (CVE-2024-41110)",
        SEEN_OR_NOT,
        |ground| by_framing(ground, CREATE, &plain(), Framing::Pieces),
    ),
    attack(
        "asked::as_if_it_were_a_login",
        "ends the URI as a login's does, whose body nobody may see",
        SEEN_OR_NOT,
        |ground| by(ground, "/v1.41/containers/create?x=/auth", &plain()),
    ),
    attack("asked::by_an_encoded_path", "encodes the path", READ, |ground| {
        by(ground, "/v1.41/%63ontainers%2Fcreate", &plain())
    }),
    attack("asked::by_a_whole_uri", "names a host in the URI", READ, |ground| {
        by(ground, "http://anybody/v1.41/containers/create", &plain())
    }),
    Attack::new(
        "asked::by_a_double_slash",
        Client,
        "writes a slash twice",
        EXPECTED,
        |ground| by(ground, "//v1.41//containers/create", &plain()),
    )
    .without_control("Docker answers with the path that was meant, and does nothing"),
    Attack::new(
        "asked::a_link_that_changes_before_the_copy",
        Client,
        "makes a container with a directory of his, puts a link to /etc in its place, and has Docker copy a file out",
        "a copy is judged when it is made",
        a_link_that_changes_before_the_copy,
    )
    .told(&["/etc", "forbidden"]),
];

const CREATE: &str = "/v1.41/containers/create";

/// A container of runc's that prints the host's secret.
fn plain() -> String {
    let inside = HOST_FILE.replacen("/etc", "/x", 1);
    format!(
        r#"{{"Image":"tiny:1","Cmd":["cat","{inside}"],"HostConfig":{{"Runtime":"runc","Binds":["/etc:/x"]}}}}"#
    )
}

fn by(ground: &mut Ground, path: &str, body: &str) -> Outcome<Evidence> {
    by_framing(ground, path, body, Framing::Length)
}

fn by_framing(ground: &mut Ground, path: &str, body: &str, framing: Framing) -> Outcome<Evidence> {
    let made = send(path, body, framing)?;
    let said = run_made(ground, &made)?.said;
    Ok(Evidence::when(
        said.contains(HOST_SECRET),
        "the secret was read",
        said,
    ))
}

fn a_link_that_changes_before_the_copy(ground: &mut Ground) -> Outcome<Evidence> {
    let place = ground.place("changes")?;
    let link = place.join("link");
    fs::create_dir(place.join("innocent"))?;
    symlink("innocent", &link)?;
    let bound = format!("{}:/x", link.display());
    let line = [
        "create",
        "--runtime",
        ground.runtime(),
        "--volume",
        &bound,
        "tiny:1",
    ];
    let container = ground.docker(&line)?.ok()?.text();
    fs::remove_file(&link)?;
    symlink("/etc", &link)?;
    let name = Path::new(HOST_FILE)
        .file_name()
        .during("a name")?
        .to_string_lossy();
    let ran = ground.docker(&["cp", &format!("{container}:/x/{name}"), "-"])?;
    Ok(Evidence::seen(&ran, HOST_SECRET))
}
