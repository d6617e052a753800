//! Every difference is shown at one point, and nothing else is; and what a table looks like.

use super::*;
use crate::fixture::{app, digest, measurement};
use crate::rule::mismatches;
use cofferdam_model::Owner;
use proptest::prelude::*;

fn outside(destination: &str) -> MeasuredMount {
    MeasuredMount {
        index: 9,
        destination: destination.into(),
        kind: MountKind::Outside("/srv/conf".into()),
        read_only: true,
        lands: None,
        hides_files: false,
    }
}

fn table(app: &App, measurement: &Measurement) -> String {
    let differing = mismatches(&app.rule, &app.name, measurement);
    let points = points(app, measurement, &differing).into_iter();
    let lines = points.map(|point| {
        let mark = if point.differs { '≠' } else { '=' };
        format!("{mark} {} | {} | {}\n", point.what, point.rule, point.found)
    });
    lines.collect()
}

#[test]
fn a_container_that_fits_has_no_mark() {
    assert_eq!(
        table(&app("payments.postgres", 1), &measurement()),
        r#"= image | sha256:010101010101… | sha256:010101010101…
= command | the image's own: ["docker-entrypoint.sh","postgres"] | ["docker-entrypoint.sh","postgres"]
= user | any | 999:999
= directory | the image's own: / | /
= groups | the image's own | the image's own
= environment | the image's own | the image's own
= root filesystem | the image's | the image's
= mounts | none from outside | none from outside
= privileges | none added | none added
= network | its own | its own
= pid namespace | its own | its own
= mount namespace | its own | its own
= user namespace | its own, or the host's | the host's
= ticket | not required | none
"#
    );
}

#[test]
fn what_differs_is_marked_and_nothing_else() {
    let mut app = app("payments.postgres", 2);
    app.rule.env = ["POSTGRES_DB".to_owned()].into();
    app.rule.allow = ["cap:NET_ADMIN".parse().unwrap()].into();
    app.rule.mounts = ["/etc/app.conf".to_owned()].into();
    app.rule.user = UserRule::Exactly(Owner { uid: 1, gid: 2 });
    app.rule.ticket = true;
    let mut found = measurement();
    found.argv = vec!["sh".into(), "-c".into(), "\u{1b}[2J".into()];
    found.cwd = "/srv".into();
    found.foreign_groups = [44].into();
    found.foreign_env = ["LD_PRELOAD", "POSTGRES_DB", "X"].map(str::to_owned).into();
    found.root.add("/usr/bin/postgres");
    found.mounts.extend([
        outside("/etc/app.conf"),
        outside("/etc/other.conf"),
        outside("/a/../b"),
    ]);
    found.privileges = ["cap:NET_ADMIN", "cap:SYS_ADMIN", "cap:SYS_NICE"]
        .map(|text| text.parse().unwrap())
        .into();
    found.namespaces.network = Namespace::Host;
    found.namespaces.pid = Namespace::Foreign;
    found.ticket = Some(TicketFound::Holds("reports.secret".parse().unwrap()));
    assert_eq!(
        table(&app, &found),
        r#"≠ image | sha256:020202020202… | sha256:010101010101…
≠ command | the image's own | ["sh","-c","\u001b[2J"]
≠ user | 1:2 | 999:999
≠ directory | the image's own: / | /srv
≠ group 44 | not allowed | from outside
≠ environment LD_PRELOAD | no rule can allow it | from outside
≠ environment X | not allowed | from outside
= environment POSTGRES_DB | allowed | from outside
≠ root filesystem | the image's | changed at ["/usr/bin/postgres"]
≠ mount /etc/other.conf | not allowed | /srv/conf from outside
≠ mount /a/../b | not allowed | /srv/conf from outside
= mount /etc/app.conf | allowed | /srv/conf from outside
≠ privilege cap:SYS_ADMIN | no rule can allow it beside a volume | held
≠ privilege cap:SYS_NICE | not allowed | held
= privilege cap:NET_ADMIN | allowed | held
≠ network | its own | the host's
≠ pid namespace | its own | another container's
= mount namespace | its own | its own
= user namespace | its own, or the host's | the host's
≠ ticket | required | for another app
"#
    );
}

#[test]
fn very_many_of_a_kind_are_counted_and_none_that_differs_is_lost() {
    let mut found = measurement();
    found.foreign_env = (0..40).map(|number| format!("NAME_{number:02}")).collect();
    let shown = table(&app("payments.postgres", 1), &found);
    assert_eq!(shown.matches("environment").count(), OF_A_KIND + 1);
    assert!(shown.contains("≠ environment: 24 more | … | …"), "{shown}");
}

/// Ways to be something else, each by itself.
fn changed(way: usize, found: &mut Measurement) {
    match way {
        0 => found.image.config = digest(7),
        1 => found.argv.push("-c".into()),
        2 => found.cwd = "/srv".into(),
        3 => drop(found.foreign_env.insert("od d\u{202e}".into())),
        4 => drop(found.foreign_env.insert("LD_PRELOAD".into())),
        5 => found.root.add("/usr/bin/x"),
        6 => found.mounts.push(outside("/etc/x y")),
        7 => drop(found.privileges.insert("cap:NET_ADMIN".parse().unwrap())),
        8 => drop(found.privileges.insert("cap:SYS_ADMIN".parse().unwrap())),
        9 => found.namespaces.network = Namespace::Host,
        10 => found.namespaces.pid = Namespace::Host,
        11 => found.namespaces.mount = Namespace::Foreign,
        12 => found.namespaces.user = Namespace::Foreign,
        13 => found.mounts.push(MeasuredMount {
            kind: MountKind::Volume("a.b".parse().unwrap()),
            ..outside("/usr/lib")
        }),
        14 => found.mounts.push(MeasuredMount {
            kind: MountKind::Kernel("tmpfs".into()),
            ..outside("/a/../b")
        }),
        15 => found.root.more = true,
        16 => found.foreign_groups = [0, 44].into(),
        _ => found.user.owner.uid = 4,
    }
}

proptest! {
    #[test]
    fn every_difference_is_marked_at_a_point_of_its_own(ways in proptest::collection::btree_set(0..18usize, 0..18), ticket: bool) {
        let mut app = app("payments.postgres", 1);
        app.rule.user = UserRule::Exactly(Owner { uid: 999, gid: 999 });
        app.rule.ticket = ticket;
        let mut found = measurement();
        ways.iter().for_each(|way| changed(*way, &mut found));
        let differing = mismatches(&app.rule, &app.name, &found);
        let marked: BTreeSet<String> = points(&app, &found, &differing)
            .into_iter()
            .filter(|point| point.differs)
            .map(|point| point.what)
            .collect();
        let wanted: BTreeSet<String> = differing.iter().map(|one| point_of(&one.difference)).collect();
        prop_assert_eq!(marked, wanted);
    }
}
