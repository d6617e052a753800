//! Tenants: whoever acts for one sees and changes nothing of another's.

use super::{Scene, cases};
use crate::{
    Outcome, Ran,
    command::{finish, run, same, start},
    daemon::ADMIN,
    failure::{During, ensure},
};
use std::{path::PathBuf, process::Command, time::Duration};

cases!("tenants":
    a_member_does_what_is_his_tenants,
    a_member_reaches_nothing_of_another_tenants,
    a_member_is_no_operator,
    lists_show_a_member_his_own_alone,
    who_is_no_member_any_more_is_refused,
    who_began_to_ask_as_a_member_is_refused_once_he_is_none,
);

/// A user of this host's whom nobody else is: tenants of earlier cases are still there, with their members.
fn user(scene: &Scene) -> String {
    format!("61{}", tenant(scene).trim_start_matches('t'))
}

/// `cofferdam …` as that user, who is in the group `cofferdam`.
fn by_user(scene: &Scene, arguments: &[&str]) -> Outcome<Ran> {
    finish(&as_user(scene, &scene.host.command("cofferdam", arguments))?)
}

fn as_user(scene: &Scene, ours: &Command) -> Outcome<Command> {
    let entry = run("getent", &["group", "cofferdam"])?.ok()?.text();
    let gid = entry.split(':').nth(2).unwrap_or_default().to_owned();
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", &user(scene), "--regid", &user(scene), "--groups", &gid])
        .arg(ours.get_program())
        .args(ours.get_args());
    Ok(command)
}

fn tenant(scene: &Scene) -> String {
    scene.named("").trim_end_matches('.').to_owned()
}

fn join(scene: &Scene) -> Outcome {
    let user = user(scene);
    let add = ["tenant", "member", "add", &tenant(scene), "--user", &user];
    scene.cofferdam(&add)?.ok()?.says(&[&user]).map(drop)
}

/// Another tenant with an app, a volume and a grant, all of the name that is answered.
fn others(scene: &Scene) -> Outcome<(String, String)> {
    let other = format!("{}y", tenant(scene));
    let theirs = format!("{other}.theirs");
    scene.cofferdam(&["tenant", "create", &other])?.ok()?;
    scene
        .cofferdam(&["app", "create", &theirs, "--image", "tiny:1"])?
        .ok()?;
    scene
        .cofferdam(&["volume", "create", &theirs, "--size", "64M"])?
        .ok()?;
    scene.grant(&theirs, &theirs, &[])?;
    Ok((other, theirs))
}

fn a_member_does_what_is_his_tenants(scene: &mut Scene) -> Outcome {
    join(scene)?;
    let (volume, app) = (scene.named("data"), scene.named("app"));
    by_user(scene, &["app", "create", &app, "--image", "tiny:1"])?.ok()?;
    by_user(scene, &["volume", "create", &volume, "--size", "64M"])?.ok()?;
    by_user(scene, &["grant", &volume, &app])?.ok()?;
    by_user(scene, &["volume", "show", &volume])?
        .ok()?
        .says(&[&app])?;
    scene.run_usual(&volume)?.ok()?;
    by_user(scene, &["why"])?.ok()?.says(&[&volume])?;
    by_user(scene, &["ticket", "issue", &app])?.ok()?;
    by_user(scene, &["tenant", "show", &tenant(scene)])?
        .ok()?
        .says(&[&user(scene)])?;
    scene.nothing_is_held()?;
    by_user(scene, &["volume", "seal", &volume])?.ok()?;
    by_user(scene, &["revoke", &volume, &app])?.ok()?;
    by_user(scene, &["volume", "rm", &volume, "--yes"])?.ok()?;
    by_user(scene, &["app", "rm", &app])?.ok()?;
    Ok(())
}

fn a_member_reaches_nothing_of_another_tenants(scene: &mut Scene) -> Outcome {
    join(scene)?;
    let (other, theirs) = others(scene)?;
    let app = scene.app("app", "tiny:1", &[])?;
    let fresh = format!("{other}.new");
    let recipient = scene.cofferdam(&["--json", "status"])?.ok()?.json()?;
    let recipient = recipient
        .get("recipient")
        .and_then(|text| text.as_str())
        .during("the host's recipient")?
        .to_owned();
    let acts: [&[&str]; 17] = [
        &["tenant", "show", &other],
        &["app", "show", &theirs],
        &["app", "create", &fresh, "--image", "tiny:1"],
        &["app", "rm", &theirs],
        &["ticket", "issue", &theirs],
        &["volume", "show", &theirs],
        &["volume", "create", &fresh],
        &["volume", "create", &fresh, "--plain"],
        &["volume", "rm", &theirs, "--yes"],
        &["volume", "seal", &theirs],
        &["volume", "seal", &theirs, "--now"],
        &["volume", "rotate", &theirs],
        &["volume", "grow", &theirs, "--size", "1G"],
        &["volume", "share", &theirs, "--recipient", &recipient],
        &["volume", "unshare", &theirs, "--recipient", &recipient],
        // Above all: letting his own app in.
        &["grant", &theirs, &app],
        &["revoke", &theirs, &theirs],
    ];
    for act in acts {
        by_user(scene, act)?
            .refused(&["you may not act for tenant", &other])
            .during(act.join(" "))?;
    }
    let left = scene.cofferdam(&["volume", "show", &theirs])?.ok()?;
    left.says(&[&theirs, "read and write"])?.silent_on(&[&app])?;
    // Whether there is such a tenant cannot be told either.
    by_user(scene, &["volume", "show", "nobodys.data"])?.refused(&["you may not act for tenant nobodys"])?;
    tear_down(scene, &other, &theirs)
}

fn tear_down(scene: &Scene, other: &str, theirs: &str) -> Outcome {
    scene.cofferdam(&["volume", "rm", theirs, "--yes"])?.ok()?;
    scene.cofferdam(&["app", "rm", theirs])?.ok()?;
    scene.cofferdam(&["tenant", "rm", other])?.ok().map(drop)
}

fn a_member_is_no_operator(scene: &mut Scene) -> Outcome {
    join(scene)?;
    let (own, user) = (tenant(scene), user(scene));
    let acts: [&[&str]; 8] = [
        &["tenant", "create", &own],
        &["tenant", "rm", &own],
        &["tenant", "member", "add", &own, "--user", "61235"],
        &["tenant", "member", "rm", &own, "--user", &user],
        &["volume", "adopt", "/var/lib/cofferdam/volumes/x"],
        &["volume", "accept-rollback", &scene.named("data"), "--yes"],
        &["ledger", "tail"],
        &["ledger", "prove", "0"],
    ];
    for act in acts {
        by_user(scene, act)?
            .refused(&["the operator's alone"])
            .during(act.join(" "))?;
    }
    by_user(scene, &["ledger", "key"])?.ok()?;
    Ok(())
}

fn lists_show_a_member_his_own_alone(scene: &mut Scene) -> Outcome {
    join(scene)?;
    let (other, theirs) = others(scene)?;
    let volume = scene.usual()?;
    scene.run_usual(&theirs)?.ok()?;
    let holder = {
        let keeper = format!("{other}.keeper");
        let image = ["--image", "tiny:1", "--", "/bin/keep"];
        scene
            .cofferdam(&[&["app", "create", &keeper], &image[..]].concat())?
            .ok()?;
        scene.grant(&theirs, &keeper, &[])?;
        scene.hold(&theirs, &[])?
    };
    for noun in [
        &["tenant", "ls"][..],
        &["app", "ls"],
        &["volume", "ls"],
        &["attachments"],
        &["why"],
    ] {
        let seen = by_user(scene, noun)?.ok()?;
        seen.silent_on(&[&theirs, &other]).during(noun.join(" "))?;
    }
    by_user(scene, &["volume", "ls"])?.ok()?.says(&[&volume])?;
    let status = by_user(scene, &["--json", "status"])?.ok()?.json()?;
    for (what, count) in [
        ("tenants", 1),
        ("volumes", 1),
        ("apps", 1),
        ("grants", 1),
        ("attachments", 0),
    ] {
        same(
            what,
            status.get(what).and_then(serde_json::Value::as_u64),
            Some(count),
        )?;
    }
    // The number of a decision about somebody else's is as good as one that never was.
    let all = scene.cofferdam(&["--json", "why"])?.ok()?.json()?;
    let newest = all
        .get(0)
        .and_then(|decision| decision.get("id"))
        .and_then(|id| id.as_str())
        .during("a decision")?
        .to_owned();
    by_user(scene, &["why", &newest])?.refused(&["is not kept"])?;
    scene.docker(&["rm", "--force", &holder])?.ok()?;
    scene.nothing_is_held()?;
    scene
        .cofferdam(&["app", "rm", &format!("{other}.keeper")])?
        .ok()?;
    tear_down(scene, &other, &theirs)
}

fn who_is_no_member_any_more_is_refused(scene: &mut Scene) -> Outcome {
    let (own, user) = (tenant(scene), user(scene));
    by_user(scene, &["status"])?.refused(&["member of no tenant", "tenant member add"])?;
    join(scene)?;
    join(scene)?;
    by_user(scene, &["status"])?.ok()?;
    scene
        .cofferdam(&["tenant", "member", "rm", &own, "--user", &user])?
        .ok()?;
    by_user(scene, &["status"])?.refused(&["member of no tenant"])?;
    let again = scene.cofferdam(&["tenant", "member", "rm", &own, "--user", &user])?;
    again.refused(&["is no member", "tenant show"])?;
    scene
        .cofferdam(&["tenant", "member", "add", &own, "--user", "nobody-of-that-name"])?
        .refused(&["no user", "/etc/passwd"])?;
    let root = scene.cofferdam(&["tenant", "member", "add", &own, "--user", "root"])?;
    ensure(!root.is_ok(), || "root became a member".to_owned())
}

/// Asks for a volume, and holds the last byte of that back until a file is there.
const HANGING: &str = r#"
import os, socket, sys, time
path, name, flag = sys.argv[1:]
body = ('{"name": "%s", "kind": "plain", "access": "exclusive"}' % name).encode()
head = 'POST /v1/volumes HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n' % len(body)
asking = socket.socket(socket.AF_UNIX)
asking.connect(path)
asking.sendall(head.encode() + body[:-1])
print('asked', flush=True)
while not os.path.exists(flag):
    time.sleep(0.02)
asking.sendall(body[-1:])
answer = b''
while piece := asking.recv(65536):
    answer += piece
print(answer.decode())
"#;

fn who_began_to_ask_as_a_member_is_refused_once_he_is_none(scene: &mut Scene) -> Outcome {
    let (own, user, wanted) = (tenant(scene), user(scene), scene.named("late"));
    join(scene)?;
    for still_a_member in [false, true] {
        let name = if still_a_member {
            scene.named("early")
        } else {
            wanted.clone()
        };
        let flag = PathBuf::from(format!("/run/cofferdam-flag-{still_a_member}"));
        let mut python = Command::new("/usr/bin/python3");
        python.args(["-c", HANGING, ADMIN, &name]).arg(&flag);
        let asking = start(&as_user(scene, &python)?)?;
        // Long enough for the daemon to have seen who asks.
        std::thread::sleep(Duration::from_millis(700));
        if !still_a_member {
            scene
                .cofferdam(&["tenant", "member", "rm", &own, "--user", &user])?
                .ok()?;
        }
        std::fs::write(&flag, [])?;
        let answered = asking.end();
        std::fs::remove_file(&flag)?;
        let answered = answered?.ok()?;
        match still_a_member {
            false => answered.says(&["asked", "member of no tenant"])?,
            true => answered.says(&["asked", "200 OK"])?,
        };
        join(scene)?;
    }
    scene
        .cofferdam(&["volume", "show", &wanted])?
        .refused(&["does not exist"])?;
    scene
        .cofferdam(&["tenant", "member", "rm", &own, "--user", &user])?
        .ok()
        .map(drop)
}
