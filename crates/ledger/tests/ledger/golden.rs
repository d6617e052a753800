//! A ledger with one record of each kind, byte for byte: the format does not change by accident.

use crate::kit::{ORIGIN, at, key, log, verified, verifier};
use cofferdam_ledger::{Actor, Event, Ledger, VolumeOutcome};
use cofferdam_model::{DecisionId, Epoch, Sha256, VolumeId, VolumeName};
use std::path::Path;

fn volume() -> VolumeName {
    "payments.pgdata".parse().unwrap()
}

fn id() -> VolumeId {
    VolumeId::from_bits(0x1234_5678_9abc_def0)
}

/// The frames: what happened at once.
fn events() -> Vec<Vec<Event>> {
    let container = || "3f2a9c".parse().unwrap();
    vec![
        vec![Event::Act {
            verb: "volume create".into(),
            subject: "payments.pgdata".into(),
            detail: vec!["size 10G".into(), "sealed".into()],
            by: Actor::Peer { uid: 0, pid: 4711 },
        }],
        vec![
            Event::Decision {
                container: container(),
                decision: DecisionId(0x7f3a),
                verb: "open".into(),
                volumes: vec![VolumeOutcome {
                    volume: volume(),
                    app: Some("payments.postgres".parse().unwrap()),
                    allowed: true,
                    read_only: false,
                }],
                allowed: true,
                measurement: Some(Sha256::from_bytes([0xab; 32])),
                reasons: vec!["payments.postgres may write payments.pgdata".into()],
            },
            Event::KeyReleased {
                volume: volume(),
                id: id(),
                deed: 3,
                container: Some(container()),
            },
            Event::Opened {
                volume: volume(),
                id: id(),
                epoch: Epoch(12),
            },
        ],
        vec![Event::Decision {
            container: container(),
            decision: DecisionId(0x7f3b),
            verb: "exec".into(),
            volumes: vec![VolumeOutcome {
                volume: volume(),
                app: None,
                allowed: false,
                read_only: true,
            }],
            allowed: false,
            measurement: None,
            reasons: vec!["argv differs: found [\"sh\"]".into()],
        }],
        vec![
            Event::Tampering {
                volume: volume(),
                id: id(),
                what: "block 17 does not verify".into(),
            },
            Event::Closed {
                volume: volume(),
                id: id(),
                epoch: Epoch(12),
                reason: "the container ended".into(),
            },
            Event::Act {
                verb: "start".into(),
                subject: "daemon".into(),
                detail: Vec::new(),
                by: Actor::Daemon,
            },
        ],
        vec![Event::Act {
            verb: "volume create, through Docker".into(),
            subject: "payments.pgdata".into(),
            detail: Vec::new(),
            by: Actor::docker("ada\n", "TLS"),
        }],
    ]
}

/// Compares with a file under `tests/golden`, byte for byte; `BLESS=1` rewrites it.
fn golden(file: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(file);
    #[expect(
        clippy::disallowed_methods,
        reason = "a switch for developers, read by no program"
    )]
    let bless = std::env::var_os("BLESS").is_some();
    if bless {
        std::fs::write(&path, found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, expected, "{} differs; BLESS=1 rewrites it", path.display());
}

#[test]
fn the_file_is_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(directory.path(), key(1), ORIGIN).unwrap();
    for (second, frame) in (0..).zip(events()) {
        ledger.append(at(second), frame).unwrap();
    }
    let found = log(directory.path());
    assert_eq!(verified(&found).records, 9);
    golden("ledger.log", std::str::from_utf8(&found).unwrap());
    golden("verifier-key.txt", &format!("{}\n", verifier(1)));
    let proof = ledger.prove(3, &mut |_, _| {}).unwrap();
    golden(
        "proof.json",
        &format!("{}\n", serde_json::to_string_pretty(&proof).unwrap()),
    );
    let found: Vec<Event> = ledger
        .tail(99)
        .unwrap()
        .into_iter()
        .map(|record| record.event)
        .collect();
    assert_eq!(found, events().concat());
}

#[test]
fn what_is_found_is_told_like_this() {
    let log = crate::kit::small();
    let lines = crate::kit::lines(&log);
    let mut told = String::new();
    let mut tell = |what: &str, lines: Vec<Vec<u8>>| {
        let finding = crate::kit::found(&lines.concat(), None);
        let word = serde_json::to_string(&finding.looks).unwrap();
        told += &format!("{what}\n  {word} {finding}\n");
    };
    let changed = |line: usize, from: &str, to: &str| {
        let mut changed = lines.clone();
        let text = String::from_utf8(changed[line].clone()).unwrap();
        changed[line] = text.replacen(from, to, 1).into_bytes();
        changed
    };
    tell("changed in the middle of a frame", changed(3, "s2", "t2"));
    tell("changed at the end of a frame", changed(4, "s3", "t3"));
    tell("of another form", changed(3, "pid", "dip"));
    tell("a checkpoint changed", changed(5, "\\n4\\n", "\\n5\\n"));
    tell("two removed", [&lines[..3], &lines[5..]].concat());
    tell(
        "one moved",
        [&lines[..2], &lines[3..4], &lines[2..3], &lines[4..]].concat(),
    );
    tell(
        "one duplicated",
        [&lines[..4], &lines[2..3], &lines[4..]].concat(),
    );
    tell(
        "a line inserted",
        [&lines[..3], &[b"{}\n".to_vec()], &lines[3..]].concat(),
    );
    tell("a checkpoint duplicated", [&lines[..6], &lines[5..]].concat());
    tell("the end cut", lines[..7].to_vec());
    golden("findings.txt", &told);
}
