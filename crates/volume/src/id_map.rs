//! Which id on disk appears as which id in a container.
//!
//! A volume has a canonical owner O on disk; a container runs as R. Swapping the two (O↔R, everything else
//! unchanged) gives the container its volume without a file being touched, and since a swap is a permutation no
//! id is left without an image. Where the container has a user namespace of its own, the swap is composed with
//! that namespace's map.
//!
//! A container that runs as root and may override ownership gets no swap: it sees the ids as they are on disk. See
//! `docs/decisions/0003-root-sees-ids-as-they-are.md`.

use cofferdam_linux::user_namespace::Line;
use cofferdam_model::{IdMap, IdRange, Owner, User};

/// All ids that exist: 0 to 2³² − 2 (the last one means "no id").
const ALL: IdRange = IdRange {
    inside: 0,
    outside: 0,
    count: u32::MAX,
};

/// A mount's two maps: inside is the id on disk, outside the id that processes see.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mapping {
    /// User ids.
    pub uids: Vec<Line>,
    /// Group ids.
    pub gids: Vec<Line>,
}

impl Mapping {
    /// The map with which `user`, in a container with the user namespace `namespace`, owns what `owner` owns on disk.
    pub fn between(owner: Owner, user: &User, namespace: Option<&IdMap>) -> Self {
        let seen_as = if user.overrides_ownership {
            owner
        } else {
            user.owner
        };
        let all = [ALL];
        let (uids, gids) = namespace.map_or((&all[..], &all[..]), |map| (&map.uids[..], &map.gids[..]));
        Mapping {
            uids: swapped(uids, owner.uid, seen_as.uid),
            gids: swapped(gids, owner.gid, seen_as.gid),
        }
    }

    /// The map in which every id is itself.
    pub fn none() -> Self {
        let all = vec![Line {
            inside: 0,
            outside: 0,
            count: u32::MAX,
        }];
        Mapping {
            uids: all.clone(),
            gids: all,
        }
    }

    /// Whether every id is itself, so that no map is needed.
    pub fn is_identity(&self) -> bool {
        let identity = |lines: &[Line]| matches!(lines, [line] if line.inside == 0 && line.outside == 0 && line.count == u32::MAX);
        identity(&self.uids) && identity(&self.gids)
    }
}

/// `ranges` (container id → host id) behind a swap of the ids `a` and `b` on disk.
fn swapped(ranges: &[IdRange], a: u32, b: u32) -> Vec<Line> {
    ranges
        .iter()
        .flat_map(|range| pieces(*range, a, b))
        .map(|piece| line(piece, a, b))
        .collect()
}

/// `range` cut so that `a` and `b` are pieces of their own; nothing is cut where they are the same.
fn pieces(range: IdRange, a: u32, b: u32) -> Vec<IdRange> {
    let end = u64::from(range.inside) + u64::from(range.count);
    let mut cuts = vec![u64::from(range.inside), end];
    if a != b {
        cuts.extend(
            [a, b]
                .into_iter()
                .flat_map(|id| [u64::from(id), u64::from(id) + 1]),
        );
    }
    cuts.retain(|cut| (u64::from(range.inside)..=end).contains(cut));
    cuts.sort_unstable();
    cuts.dedup();
    let neighbours = cuts.iter().zip(cuts.iter().skip(1));
    neighbours
        .filter_map(|(from, to)| part(range, *from, *to))
        .collect()
}

/// The part of `range` from the inside id `from` up to, without, `to`.
fn part(range: IdRange, from: u64, to: u64) -> Option<IdRange> {
    let offset = u32::try_from(from - u64::from(range.inside)).ok()?;
    Some(IdRange {
        inside: u32::try_from(from).ok()?,
        outside: range.outside.checked_add(offset)?,
        count: u32::try_from(to - from).ok()?,
    })
}

/// A piece as a line: a container's id `a` lies on disk as `b`, and the other way round.
fn line(piece: IdRange, a: u32, b: u32) -> Line {
    let on_disk = match piece.inside {
        id if piece.count == 1 && id == a => b,
        id if piece.count == 1 && id == b => a,
        id => id,
    };
    Line {
        inside: on_disk,
        outside: piece.outside,
        count: piece.count,
    }
}

/// The id in the container that a host id stands for, where it stands for one.
pub fn in_container(namespace: Option<&[IdRange]>, host: u32) -> Option<u32> {
    let Some(ranges) = namespace else {
        return Some(host);
    };
    ranges.iter().find_map(|range| {
        let offset = host.checked_sub(range.outside)?;
        if offset < range.count {
            range.inside.checked_add(offset)
        } else {
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn user(uid: u32, gid: u32, overrides_ownership: bool) -> User {
        User {
            owner: Owner { uid, gid },
            groups: Vec::new(),
            overrides_ownership,
        }
    }

    fn seen(lines: &[Line], disk: u32) -> Option<u32> {
        lines.iter().find_map(|line| {
            let offset = disk.checked_sub(line.inside)?;
            (offset < line.count).then(|| line.outside + offset)
        })
    }

    #[test]
    fn owner_and_user_change_places() {
        let map = Mapping::between(Owner { uid: 5000, gid: 50 }, &user(1000, 0, false), None);
        assert_eq!(seen(&map.uids, 5000), Some(1000));
        assert_eq!(seen(&map.uids, 1000), Some(5000));
        assert_eq!(seen(&map.uids, 0), Some(0));
        assert_eq!(seen(&map.gids, 50), Some(0));
        assert_eq!(seen(&map.uids, u32::MAX - 1), Some(u32::MAX - 1));
    }

    #[test]
    fn the_same_ids_need_no_map() {
        assert!(Mapping::between(Owner { uid: 7, gid: 8 }, &user(7, 8, false), None).is_identity());
        assert!(Mapping::between(Owner { uid: 7, gid: 8 }, &user(0, 0, true), None).is_identity());
        assert!(!Mapping::between(Owner { uid: 7, gid: 8 }, &user(0, 0, false), None).is_identity());
    }

    #[test]
    fn a_user_namespace_is_composed() {
        let ranges = vec![IdRange {
            inside: 0,
            outside: 100_000,
            count: 65_536,
        }];
        let namespace = IdMap {
            uids: ranges.clone(),
            gids: ranges,
        };
        let map = Mapping::between(
            Owner { uid: 999, gid: 999 },
            &user(1000, 1000, false),
            Some(&namespace),
        );
        assert_eq!(seen(&map.uids, 999), Some(101_000));
        assert_eq!(seen(&map.uids, 1000), Some(100_999));
        assert_eq!(seen(&map.uids, 0), Some(100_000));
        assert_eq!(seen(&map.uids, 70_000), None);
        assert_eq!(in_container(Some(&namespace.uids), 100_999), Some(999));
        assert_eq!(in_container(Some(&namespace.uids), 7), None);
    }

    proptest! {
        #[test]
        fn the_swap_is_a_permutation(a in 0..u32::MAX, b in 0..u32::MAX, probe in 0..u32::MAX) {
            let lines = swapped(&[ALL], a, b);
            let expected = if probe == a { b } else if probe == b { a } else { probe };
            prop_assert_eq!(seen(&lines, probe), Some(expected));
            let total: u64 = lines.iter().map(|line| u64::from(line.count)).sum();
            prop_assert_eq!(total, u64::from(u32::MAX));
            prop_assert!(lines.len() <= 5);
        }

        #[test]
        fn composition_maps_each_id_once(
            start in 0_u32..1000, outside in 100_000_u32..200_000, count in 1_u32..3000,
            a in 0_u32..3000, b in 0_u32..3000,
        ) {
            let lines = swapped(&[IdRange { inside: start, outside, count }], a, b);
            for container in start..start + count {
                let disk = if container == a { b } else if container == b { a } else { container };
                prop_assert_eq!(seen(&lines, disk), Some(outside + (container - start)));
            }
        }
    }
}
