//! What a deed allows, and how it says that it does not.

use crate::fixture::*;
use cofferdam_deed::ConfirmedDeed;
use cofferdam_model::ErrorKind::Denied;
use cofferdam_model::{Command, LaunchRule, NetworkRule, UserRule};

fn deed() -> ConfirmedDeed {
    signed().confirm(&volume_key()).unwrap()
}

#[test]
fn what_is_granted_is_permitted() {
    let (postgres, web) = (app("payments.postgres"), app("payments.web"));
    for (write, exec) in [(false, false), (false, true), (true, false), (true, true)] {
        deed().permits(&postgres, &rule(), write, exec, now()).unwrap();
    }
    deed().permits(&web, &plain_rule(), false, false, now()).unwrap();
    let last = time("2026-12-31T23:59:58.999999999Z");
    deed().permits(&web, &plain_rule(), false, false, last).unwrap();
}

#[test]
fn an_app_without_a_grant_is_refused() {
    refused(
        deed().permits(&app("payments.batch"), &rule(), false, false, now()),
        Denied,
        &[
            "the deed of payments.pgdata grants payments.batch nothing",
            "cofferdam grant payments.pgdata payments.batch",
        ],
    );
}

#[test]
fn a_grant_ends_at_its_instant() {
    let end = time("2026-12-31T23:59:59Z");
    refused(
        deed().permits(&app("payments.web"), &plain_rule(), false, false, end),
        Denied,
        &["what the deed of payments.pgdata grants payments.web ended at 2026-12-31T23:59:59Z"],
    );
}

#[test]
fn read_only_is_read_only_and_no_exec_is_none() {
    let web = app("payments.web");
    refused(
        deed().permits(&web, &plain_rule(), true, false, now()),
        Denied,
        &["the deed of payments.pgdata grants payments.web read-only"],
    );
    refused(
        deed().permits(&web, &plain_rule(), false, true, now()),
        Denied,
        &["no further processes", "--exec"],
    );
}

#[test]
fn another_launch_rule_is_refused_with_what_differs() {
    let (own, other) = (rule(), plain_rule());
    let digests = [own.image.to_string(), other.image.to_string()];
    let with = |change: &dyn Fn(&mut LaunchRule)| {
        let mut rule = own.clone();
        change(&mut rule);
        rule
    };
    let cases: [(LaunchRule, &[&str]); 7] = [
        (
            with(&|rule| rule.image = image(0xbb)),
            &["image (", &digests[0], &digests[1]],
        ),
        (
            with(&|rule| rule.command = Command::Image),
            &["command (", "shared_buffers", "\"image\""],
        ),
        (
            with(&|rule| rule.user = UserRule::Any),
            &["user (", "999", "\"any\""],
        ),
        (with(&|rule| rule.cwd = None), &["cwd (\"/srv\", none)"]),
        (
            with(&|rule| rule.network = NetworkRule::Host),
            &["network (\"own\", \"host\")"],
        ),
        (
            with(&|rule| rule.mounts = ["/x".into()].into()),
            &["mounts (", "/x"],
        ),
        (
            with(&|rule| rule.allow.clear()),
            &["allow ([\"cap:NET_ADMIN\"], none)"],
        ),
    ];
    for (changed, words) in cases {
        let answer = deed().permits(&app("payments.postgres"), &changed, false, false, now());
        refused(answer.clone(), Denied, words);
        refused(
            answer,
            Denied,
            &["payments.postgres by another launch rule than the registry's"],
        );
    }
}
