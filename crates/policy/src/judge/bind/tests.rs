use super::*;
use crate::fixture::{app, measurement, now};
use cofferdam_model::{App, ErrorKind, HostPathGrant, Privilege};

/// A container of image 1 that binds `/srv/www` at `/www` and asks for no volume.
fn binds() -> Measurement {
    let mut found = measurement();
    if let Some(mount) = found.mounts.get_mut(3) {
        mount.destination = "/www".into();
        mount.kind = MountKind::Outside("/srv/www".into());
    }
    found
}

fn web() -> App {
    let mut web = app("payments.web", 1);
    web.rule.mounts = ["/www".to_owned()].into();
    web
}

fn given() -> HostPathGrant {
    HostPathGrant {
        path: "/srv/www".parse().unwrap(),
        app: "payments.web".parse().unwrap(),
        rule: web().rule,
        write: true,
        exec: false,
        map_owner: true,
        until: None,
    }
}

/// The app was as it is now when it was granted the path.
fn decided(app: App, grant: &HostPathGrant, found: &Measurement, policy: &str) -> Result<Bound> {
    let grant = HostPathGrant {
        rule: app.rule.clone(),
        ..grant.clone()
    };
    with_rule_of_then(app, &grant, found, policy)
}

fn with_rule_of_then(app: App, grant: &HostPathGrant, found: &Measurement, policy: &str) -> Result<Bound> {
    let mut facts = Facts::new();
    facts.insert_app(app);
    facts.insert_host_path_grant(grant);
    let judge = Judge::new(&[("site.cedar".to_owned(), policy.to_owned())]).unwrap();
    let mount = found.mounts.get(3).unwrap();
    judge.bind(&facts, found, mount, &"/srv/www".parse().unwrap(), now())
}

fn denied(app: App, grant: &HostPathGrant, found: &Measurement) -> String {
    let problem = decided(app, grant, found, "").unwrap_err();
    assert_eq!(problem.kind, ErrorKind::Denied, "{problem}");
    problem.to_string()
}

#[test]
fn the_named_app_binds_it_as_the_grant_says() {
    let bound = decided(web(), &given(), &binds(), "").unwrap();
    assert_eq!(bound.app, web().name);
    assert!(bound.map_owner);
}

#[test]
fn whoever_is_not_that_app_does_not() {
    let mut other = binds();
    other.argv.push("--evil".into());
    assert!(denied(web(), &given(), &other).contains("argv differs"));
    let mut changed = binds();
    changed.root.add("/usr/bin/postgres");
    assert!(denied(web(), &given(), &changed).contains("/usr/bin/postgres"));
    // Another image, and a grant of an app that is not there.
    let nobody = denied(app("payments.web", 2), &given(), &binds());
    assert!(nobody.contains("granted to named apps"), "{nobody}");
    assert!(
        nobody.contains("cofferdam host-path allow /srv/www --to APP"),
        "{nobody}"
    );
    // The rule does not name the place.
    assert!(denied(app("payments.web", 1), &given(), &binds()).contains("/www"));
}

#[test]
fn a_grant_gives_no_more_than_it_says() {
    let reading = HostPathGrant {
        write: false,
        ..given()
    };
    assert!(denied(web(), &reading, &binds()).contains("may only read"));
    let mut read_only = binds();
    read_only.mounts.get_mut(3).unwrap().read_only = true;
    assert!(decided(web(), &reading, &read_only, "").is_ok());
    let over = HostPathGrant {
        until: Some(now()),
        ..given()
    };
    assert!(denied(web(), &over, &binds()).contains("ended at"));
}

#[test]
fn operators_policies_and_rules_that_let_a_tool_reach_out_count_here_too() {
    let forbids =
        r#"@reason("not today") forbid (principal, action == Cofferdam::Action::"bind", resource);"#;
    let refused = decided(web(), &given(), &binds(), forbids).unwrap_err();
    assert!(refused.message.contains("not today"), "{refused}");
    let mut tool = binds();
    tool.privileges.insert(Privilege::Capability("SYS_ADMIN".into()));
    assert!(denied(web(), &given(), &tool).contains("cap:SYS_ADMIN"));
    let mut allowed = web();
    allowed.rule.allow.insert(Privilege::Everything);
    assert!(decided(allowed.clone(), &given(), &tool, "").is_ok());
    // Beside a volume nothing that reaches out is let in.
    tool.mounts.push(crate::fixture::mount("payments.pgdata"));
    assert!(denied(allowed, &given(), &tool).contains("cap:SYS_ADMIN"));
}

#[test]
fn the_last_grant_leaves_no_trace() {
    let mut facts = Facts::new();
    facts.insert_host_path_grant(&given());
    assert_eq!(facts.host_path_grants().collect::<Vec<_>>(), [&given()]);
    facts.remove_host_path_grant(&given().path, &given().app);
    assert_eq!(facts.granted_host_paths().count(), 0);
}

#[test]
fn another_rule_under_the_same_name_is_another_app() {
    let mut other = web();
    other.rule.env = ["EVIL".to_owned()].into();
    let refused = with_rule_of_then(other, &given(), &binds(), "").unwrap_err();
    assert!(
        refused.to_string().contains("another rule than when"),
        "{refused}"
    );
    assert!(with_rule_of_then(web(), &given(), &binds(), "").is_ok());
}

#[test]
fn what_is_proposed_is_read_back_by_a_shell_or_not_proposed() {
    for (path, wanted) in [("/srv/a b;id", true), ("/srv/\u{202e}x", false)] {
        let path: HostPath = path.parse().unwrap();
        let problem = nobody(&path, binds().mounts.get(3).unwrap(), None, None).to_string();
        assert_eq!(
            problem.contains("cofferdam host-path allow '/srv/a b;id' --to APP"),
            wanted,
            "{problem}"
        );
    }
}
