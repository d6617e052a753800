//! The daemon's sockets, spoken to by whoever finds them; and what follows a process by its number.

use super::{
    case::{
        Attack,
        Attacker::{Below, Container, Process},
    },
    evidence::Evidence,
    ground::{Ground, IMAGE},
};
use crate::{
    Outcome, Ran,
    command::{finish, run},
    daemon::{ADMIN, PLUGIN},
    failure::{During, ensure},
    http::request,
    process::until,
};
use serde_json::{Value, json};
use std::{path::Path, time::Duration};

/// Why some of these have no control.
const NONE: &str = "plain Docker has no such socket";

pub(super) const ATTACKS: &[Attack] = &[
    Attack::new(
        "sockets::the_plugin_with_a_forged_id",
        Below,
        "asks the volume plugin for the volume in the victim's name",
        "the answer is the placeholder, whoever asks",
        the_plugin_with_a_forged_id,
    ),
    Attack::new(
        "sockets::the_plugin_lets_go",
        Below,
        "tells the plugin that the victim has let go, and starts another container on its exclusive volume",
        "a lease follows the container, not the plugin",
        the_plugin_lets_go,
    )
    .without_control("plain Docker lets any number of containers hold a volume")
    .told(&["payments.data"]),
    Attack::new(
        "sockets::the_plugin_removes",
        Below,
        "tells the plugin to remove the volume",
        "it removes only what Docker made",
        the_plugin_removes,
    ),
    Attack::new(
        "sockets::the_runtimes_socket",
        Process,
        "asks to open the volume over the runtime's socket",
        "it is root's",
        the_runtimes_socket,
    )
    .without_control(NONE),
    Attack::new(
        "sockets::the_plugins_socket",
        Process,
        "asks the plugin over its socket",
        "it is root's",
        |ground| {
            asked(
                ground,
                PLUGIN,
                "SOCK_STREAM",
                "POST /VolumeDriver.List HTTP/1.0\\r\\nContent-Length: 2\\r\\n\\r\\n{}",
            )
        },
    )
    .without_control(NONE),
    Attack::new(
        "sockets::the_admin_socket",
        Process,
        "asks the daemon over the admin's socket",
        "it is root's and the group's",
        |ground| {
            asked(
                ground,
                ADMIN,
                "SOCK_STREAM",
                "GET /v1/volumes HTTP/1.0\\r\\n\\r\\n",
            )
        },
    )
    .without_control(NONE),
    Attack::new(
        "sockets::the_admin_socket_as_nobodys_member",
        Process,
        "asks it as one of the group, but no tenant's member",
        "who is no member gets nothing",
        the_admin_socket_as_nobodys_member,
    )
    .without_control(NONE)
    .told(&["member of no tenant"]),
    Attack::new(
        "sockets::a_process_number_again",
        Container,
        "is given the number of the victim's process after its end",
        "a lease follows a process, not its number",
        a_process_number_again,
    )
    .without_control("plain Docker ties no volume to a process"),
];

fn plugin(verb: &str, body: &Value) -> Outcome<Value> {
    let path = format!("/VolumeDriver.{verb}");
    let answer = request(Path::new(PLUGIN), "POST", &path, body.to_string().as_bytes())?;
    serde_json::from_str(&answer.body).during(answer.body)
}

/// In the control Docker is asked, whose own driver has no socket.
fn the_plugin_with_a_forged_id(ground: &mut Ground) -> Outcome<Evidence> {
    let victim = ground.held()?;
    if !ground.guarded() {
        return ground.lies_below(Path::new(&ground.mountpoint()?));
    }
    let mut evidence = Evidence::default();
    for id in [victim.as_str(), "../../volumes", "", "0", &"f".repeat(100_000)] {
        let told = plugin("Mount", &json!({ "Name": ground.volume(), "ID": id }))?;
        let place = told.get("Mountpoint").and_then(Value::as_str).unwrap_or_default();
        if !place.is_empty() {
            evidence = evidence.and(ground.lies_below(Path::new(place))?);
        }
        evidence = evidence.and(Evidence::when(false, "", told.to_string()));
    }
    Ok(evidence)
}

fn the_plugin_lets_go(ground: &mut Ground) -> Outcome<Evidence> {
    let victim = ground.held()?;
    for id in [victim.as_str(), ""] {
        plugin("Unmount", &json!({ "Name": ground.volume(), "ID": id }))?;
    }
    let ran = ground.run(&[], IMAGE, &[])?;
    Ok(ground.started(&ran))
}

fn the_plugin_removes(ground: &mut Ground) -> Outcome<Evidence> {
    ground.written()?;
    if !ground.guarded() {
        let ran = ground.docker(&["volume", "rm", ground.volume()])?;
        return Ok(Evidence::when(ran.is_ok(), "the data is gone", ran.said()));
    }
    let told = plugin("Remove", &json!({ "Name": ground.volume() }))?;
    let gone = !ground.listed()?.contains("marker");
    Ok(Evidence::when(gone, "the data is gone", told.to_string()))
}

/// Speaks to a socket as a user who is nobody, and prints what comes back.
fn asked(ground: &mut Ground, socket: &str, kind: &str, words: &str) -> Outcome<Evidence> {
    ground.held()?;
    let script = format!(
        "import socket\n\
         asking = socket.socket(socket.AF_UNIX, socket.{kind})\n\
         asking.settimeout(5)\n\
         asking.connect('{socket}')\n\
         asking.send('{words}'.encode())\n\
         print('answered:', asking.recv(65536).decode())\n"
    );
    // Root is heard, so that the attempt itself is a good one.
    run("/usr/bin/python3", &["-c", &script])?
        .ok()?
        .says(&["answered:"])?;
    let ran = ground.by_nobody("/usr/bin/python3", &["-c", &script])?;
    let heard = ran.out.contains("answered:") && !ran.out.contains("refused");
    Ok(Evidence::when(heard, "the socket answered", ran.said()))
}

fn the_runtimes_socket(ground: &mut Ground) -> Outcome<Evidence> {
    let wish = "{\"version\":1,\"container\":\"aaaa\",\"runtime_root\":\"/run\",\"verb\":{\"exec\":{\"process\":false}}}";
    asked(ground, "/run/cofferdam/runtime.sock", "SOCK_SEQPACKET", wish)
}

fn the_admin_socket_as_nobodys_member(ground: &mut Ground) -> Outcome<Evidence> {
    ground.held()?;
    let ran = ground.by_member("cofferdam", &["volume", "show", ground.volume()], "61998")?;
    Ok(Evidence::when(ran.is_ok(), "it answered", ran.said()))
}

/// The victim is killed; then processes are started until one has its number.
fn a_process_number_again(ground: &mut Ground) -> Outcome<Evidence> {
    let victim = ground.held()?;
    let pid: u32 = ground
        .docker(&["inspect", "--format", "{{.State.Pid}}", &victim])?
        .ok()?
        .text()
        .parse()?;
    ground.docker(&["kill", &victim])?.ok()?;
    let ran = take_number(pid)?;
    let taken = ran.out.contains("taken");
    ensure(taken, || {
        format!("the number was not to be had again: {}", ran.said())
    })?;
    let released = until("the lease is released", Duration::from_secs(3), || {
        ground.scene.attachments().is_ok_and(|held| held.is_empty())
    });
    let again = ground.run(&[], IMAGE, &[])?;
    let said = format!("{}{}", ran.said(), again.said());
    Ok(Evidence::when(
        released.is_err(),
        "the lease stays with a stranger",
        said,
    ))
}

fn take_number(pid: u32) -> Outcome<Ran> {
    let script = format!(
        "for round in $(seq 200); do\n\
         echo {} > /proc/sys/kernel/ns_last_pid\n\
         sleep 4 & [ $! = {pid} ] && echo taken && exit\n\
         kill $!\n\
         done",
        pid.saturating_sub(1)
    );
    let mut command = std::process::Command::new("bash");
    command.args(["-c", &script]);
    finish(&command)
}
