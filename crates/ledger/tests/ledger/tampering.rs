//! Every kind of tampering, and what it is taken for.

use crate::kit::{
    FRAMES, act, at, check, found, frames, is_checkpoint, key, last_checkpoint, lines, log, put, records,
    small, verified, verifier, written,
};
use cofferdam_ledger::{Fault, Ledger, Looks, verify};
use cofferdam_model::ErrorKind;
use proptest::prelude::*;

/// A line with its JSON changed.
fn edited(line: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = std::str::from_utf8(line).unwrap();
    let changed = text.replacen(from, to, 1);
    assert_ne!(text, changed, "{from} is not in {text}");
    changed.into_bytes()
}

#[test]
fn the_whole_verifies() {
    let log = small();
    let verified = verified(&log);
    assert_eq!(verified.records, FRAMES.iter().sum::<usize>() as u64);
    assert_eq!(verified.frames, FRAMES.len() as u64);
    let mut told = 0;
    verify(&log[..], &verifier(1), None, &mut |bytes| told = bytes).unwrap();
    assert_eq!(told, log.len() as u64);
}

#[test]
fn no_flipped_bit_is_accepted_and_each_is_found_in_its_frame() {
    let log = small();
    for frame in frames(&log) {
        for place in frame.clone() {
            for bit in 0..8 {
                let mut changed = log.clone();
                changed[place] ^= 1 << bit;
                let finding = found(&changed, None);
                let offset = usize::try_from(finding.offset).unwrap();
                assert!(
                    frame.contains(&offset),
                    "bit {bit} of byte {place}, in {frame:?}: {finding:?}"
                );
            }
        }
    }
}

#[test]
fn no_flipped_byte_is_opened() {
    let directory = tempfile::tempdir().unwrap();
    let log = small();
    let last = log.len() - 1;
    for place in 0..last {
        let mut changed = log.clone();
        changed[place] ^= 1 << (place % 8);
        put(directory.path(), &changed);
        let refused = Ledger::open(directory.path(), key(1), crate::kit::ORIGIN).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Corrupt, "byte {place}: {refused}");
        assert_eq!(
            crate::kit::log(directory.path()),
            changed,
            "byte {place}: it was repaired"
        );
    }
}

#[test]
fn a_removed_record_is_missed() {
    let lines = lines(&small());
    for (index, line) in records(&lines).into_iter().enumerate() {
        let mut fewer = lines.clone();
        fewer.remove(line);
        let finding = found(&fewer.concat(), None);
        assert_eq!((finding.looks, finding.record), (Looks::Removed, index as u64));
    }
}

#[test]
fn a_removed_frame_is_missed() {
    let log = small();
    let frames = frames(&log);
    let mut first = 0;
    for (number, frame) in frames.iter().enumerate().take(frames.len() - 1) {
        let mut fewer = log.clone();
        fewer.drain(frame.clone());
        let finding = found(&fewer, None);
        assert_eq!((finding.looks, finding.record), (Looks::Removed, first));
        first += FRAMES[number] as u64;
    }
}

#[test]
fn swapped_records_are_noticed() {
    let lines = lines(&small());
    let records = records(&lines);
    for first in 0..records.len() {
        for second in first + 1..records.len() {
            let mut swapped = lines.clone();
            swapped.swap(records[first], records[second]);
            let finding = found(&swapped.concat(), None);
            assert_eq!((finding.looks, finding.record), (Looks::Moved, first as u64));
        }
    }
}

#[test]
fn a_record_behind_its_checkpoint_was_moved() {
    let lines = lines(&small());
    for (index, line) in records(&lines).into_iter().enumerate() {
        if is_checkpoint(&lines[line + 1]) && line + 2 < lines.len() {
            let mut moved = lines.clone();
            moved.swap(line, line + 1);
            let finding = found(&moved.concat(), None);
            // Of a frame of one record, only its checkpoint is left where it was.
            assert_eq!((finding.looks, finding.record), (Looks::Moved, index as u64));
        }
    }
}

#[test]
fn a_duplicated_record_is_noticed() {
    let lines = lines(&small());
    for (index, line) in records(&lines).into_iter().enumerate() {
        for place in line + 1..=lines.len() {
            let mut more = lines.clone();
            more.insert(place, lines[line].clone());
            let finding = found(&more.concat(), None);
            assert_eq!((finding.looks, finding.record), (Looks::Duplicated, index as u64));
        }
        for place in 0..line {
            let mut more = lines.clone();
            more.insert(place, lines[line].clone());
            found(&more.concat(), None);
        }
    }
}

#[test]
fn a_checkpoint_out_of_its_place_is_noticed() {
    let lines = lines(&small());
    let checkpoints: Vec<usize> = (0..lines.len()).filter(|at| is_checkpoint(&lines[*at])).collect();
    for from in &checkpoints {
        for place in 0..=lines.len() {
            let mut more = lines.clone();
            more.insert(place, lines[*from].clone());
            // In its own place, the second of the two is the one too many.
            found(&more.concat(), None);
        }
        for with in checkpoints.iter().filter(|with| *with != from) {
            let mut swapped = lines.clone();
            swapped.swap(*from, *with);
            found(&swapped.concat(), None);
        }
    }
}

#[test]
fn without_a_checkpoint_in_the_middle_each_record_is_still_proved() {
    let log = small();
    let lines = lines(&log);
    for line in (0..lines.len()).filter(|at| is_checkpoint(&lines[*at])) {
        let mut fewer = lines.clone();
        fewer.remove(line);
        if line + 1 < lines.len() {
            let still = verified(&fewer.concat());
            assert_eq!(still.checkpoint, verified(&log).checkpoint);
        } else {
            let finding = found(&fewer.concat(), None);
            assert_eq!((finding.looks, finding.record), (Looks::Cut, 6));
        }
    }
}

#[test]
fn a_changed_record_is_found() {
    let lines = lines(&small());
    for (index, line) in records(&lines).into_iter().enumerate() {
        for (from, to) in [
            (format!("\"s{index}\""), "\"forged\"".to_owned()),
            ("\"pid\":7".to_owned(), "\"pid\":8".to_owned()),
            ("2023".to_owned(), "2022".to_owned()),
            (",\"event\"".to_owned(), ", \"event\"".to_owned()),
        ] {
            let mut changed = lines.clone();
            changed[line] = edited(&lines[line], &from, &to);
            let finding = found(&changed.concat(), None);
            assert_eq!(
                (finding.looks, finding.record),
                (Looks::Changed, index as u64),
                "{to}"
            );
            let before: usize = lines[..line].iter().map(Vec::len).sum();
            assert_eq!(finding.offset, before as u64, "{to}");
        }
    }
}

#[test]
fn a_record_changed_with_all_that_follow_is_found_at_the_checkpoint() {
    let log = small();
    let spans = frames(&log);
    let lines = lines(&log);
    // Record 1 is the first of the second frame, which is lines 2 to 5.
    let mut changed = lines.clone();
    changed[2] = edited(&lines[2], "\"s1\"", "\"forged\"");
    for line in [3, 4] {
        let before = cofferdam_ledger::tree::leaf_hash(changed[line - 1].strip_suffix(b"\n").unwrap());
        let was = cofferdam_ledger::tree::leaf_hash(lines[line - 1].strip_suffix(b"\n").unwrap());
        changed[line] = edited(&lines[line], &was.to_string(), &before.to_string());
    }
    let finding = found(&changed.concat(), None);
    assert_eq!((finding.looks, finding.record), (Looks::Changed, 3));
    assert!(spans[1].contains(&usize::try_from(finding.offset).unwrap()));
}

#[test]
fn an_inserted_record_is_found() {
    let lines = lines(&small());
    for (index, line) in records(&lines).into_iter().enumerate() {
        let chained = edited(&lines[line], &format!("\"s{index}\""), "\"forged\"");
        let unchained = edited(&chained, "\"previous\":\"sha256:", "\"previous\":\"sha256:f");
        let unchained = edited(&unchained, "\",\"event\"", "#").to_vec();
        let shortened = String::from_utf8(unchained).unwrap();
        let at = shortened.find('#').unwrap();
        let unchained = format!("{}\",\"event\"{}", &shortened[..at - 1], &shortened[at + 1..]);
        for forged in [chained, unchained.into_bytes(), b"{}\n".to_vec(), b"\n".to_vec()] {
            let mut more = lines.clone();
            more.insert(line, forged.clone());
            let finding = found(&more.concat(), None);
            assert_eq!(
                (finding.looks, finding.record),
                (Looks::Inserted, index as u64),
                "{}",
                String::from_utf8_lossy(&forged)
            );
        }
    }
}

#[test]
fn a_record_before_the_checkpoint_was_inserted() {
    let lines = lines(&small());
    let before = cofferdam_ledger::tree::leaf_hash(lines[0].strip_suffix(b"\n").unwrap());
    let next = edited(&lines[0], "\"index\":0", "\"index\":1");
    let zeros = format!("sha256:{}", "0".repeat(64));
    let mut more = lines.clone();
    more.insert(1, edited(&next, &zeros, &before.to_string()));
    let finding = found(&more.concat(), None);
    assert_eq!((finding.looks, finding.record), (Looks::Inserted, 1));
}

#[test]
fn a_frame_signed_with_another_key_is_refused() {
    let (ours, theirs) = (small(), written(&FRAMES, 2));
    for (mine, other) in frames(&ours).into_iter().zip(frames(&theirs)) {
        let mut replaced = ours.clone();
        let at = mine.start as u64;
        let end = mine.end as u64;
        replaced.splice(mine, theirs[other].to_vec());
        let finding = found(&replaced, None);
        assert_eq!(finding.looks, Looks::Unsigned);
        assert!((at..end).contains(&finding.offset), "{finding:?}");
    }
    assert_eq!(found(&theirs, None).looks, Looks::Unsigned);
    let directory = tempfile::tempdir().unwrap();
    put(directory.path(), &theirs);
    let refused = Ledger::open(directory.path(), key(1), crate::kit::ORIGIN).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Corrupt);
    assert_eq!(log(directory.path()), theirs);
    let renamed = Ledger::open(directory.path(), key(2), "example.com/another").unwrap_err();
    assert_eq!(renamed.kind, ErrorKind::Corrupt);
    assert_eq!(log(directory.path()), theirs);
}

#[test]
fn an_older_copy_verifies_alone_but_not_against_a_newer_checkpoint() {
    let log = small();
    let newest = last_checkpoint(&log);
    for frame in frames(&log) {
        let copy = &log[..frame.end];
        let checkpoint = last_checkpoint(copy);
        assert!(check(&log, Some(&checkpoint)).is_ok(), "{checkpoint}");
        if frame.end < log.len() {
            let finding = found(copy, Some(&newest));
            assert_eq!((finding.looks, finding.record), (Looks::Cut, checkpoint.size()));
        }
    }
    assert!(check(&log, Some(&newest)).is_ok());
    assert_eq!(verified(b"").records, 0);
    assert_eq!(found(b"", Some(&newest)).looks, Looks::Cut);
}

#[test]
fn another_history_under_the_same_key_is_not_the_one_that_was_seen() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = crate::kit::open(directory.path());
    for n in 0..8 {
        ledger
            .append(
                at(n),
                vec![act(if n == 2 { "forged".into() } else { format!("s{n}") })],
            )
            .unwrap();
    }
    let rewritten = log(directory.path());
    assert!(check(&rewritten, None).is_ok());
    let mut seen = 0;
    let original = small();
    for frame in frames(&original) {
        let older = last_checkpoint(&original[..frame.end]);
        if older.size() > 2 {
            let finding = found(&rewritten, Some(&older));
            assert_eq!(
                (finding.looks, finding.record),
                (Looks::Rewritten, older.size() - 1)
            );
            seen += 1;
        }
    }
    assert_eq!(seen, 3);
}

#[test]
fn endless_lines_are_refused() {
    let mut log = small();
    log.extend(vec![b'x'; 4 << 20]);
    assert_eq!(found(&log, None).looks, Looks::Cut);
    log.push(b'\n');
    let finding = found(&log, None);
    assert_eq!((finding.looks, finding.record), (Looks::Changed, 8));
}

#[test]
fn a_file_that_cannot_be_read_is_not_called_tampered() {
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::ConnectionReset.into())
        }
    }
    let fault = verify(Broken, &verifier(1), None, &mut |_| {}).unwrap_err();
    assert!(matches!(fault, Fault::Unreadable(_)), "{fault:?}");
}

proptest! {
    #[test]
    fn nothing_else_verifies(
        cut in any::<prop::sample::Index>(),
        take in 0..400_usize,
        put in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'"'), any::<u8>()], 0..40),
    ) {
        let log = small();
        let from = cut.index(log.len());
        let to = (from + take).min(log.len());
        let mut changed = log.clone();
        changed.splice(from..to, put);
        let same = changed == log || frames(&log).iter().any(|frame| changed == log[..frame.end]);
        // A checkpoint in the middle is not missed.
        let checkpoint_alone = lines(&changed).len() + 1 == lines(&log).len() && !changed.is_empty()
            && lines(&log).iter().filter(|line| !lines(&changed).contains(line)).all(|line| is_checkpoint(line));
        prop_assert_eq!(check(&changed, None).is_ok(), same || changed.is_empty() || checkpoint_alone);
    }
}
