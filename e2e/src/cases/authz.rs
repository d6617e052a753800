//! Docker asks Cofferdam about whatever its clients ask. The other cases run without that.

use super::{Scene, cases};
use crate::{
    Outcome, Ran,
    command::run,
    engine::{ASKING, SOCKET},
    failure::{During, ensure},
    http::{self, Answer},
    process::until,
};
use std::{fs, os::unix::fs::symlink, path::Path, time::Duration};

cases!("authz":
    ordinary_launches_go_their_way,
    what_no_runtime_is_asked_about_is_refused,
    a_request_is_read_as_docker_reads_it,
    a_copy_is_judged_when_it_is_made,
    what_docker_would_fill_is_judged_before_it_does,
    it_only_observes_where_the_settings_say_so,
    the_ledger_says_which_user_asked,
    without_the_daemon_docker_refuses_everything,
);

/// Has Docker ask for as long as `body` takes.
fn asking(scene: &mut Scene, more: &[&str], body: impl FnOnce(&mut Scene) -> Outcome) -> Outcome {
    restart(scene, &[&[ASKING], more].concat())?;
    let outcome = body(scene);
    if !scene.host.daemon.runs() {
        scene.host.daemon.start()?;
    }
    restart(scene, &[])?;
    let cleared = scene.host.remove_containers();
    outcome.and(cleared)
}

fn restart(scene: &mut Scene, options: &[&str]) -> Outcome {
    scene.host.engine.stop()?;
    scene.host.engine.start(options)
}

fn ordinary_launches_go_their_way(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    scene.keeper(&volume, &["--exec"])?;
    asking(scene, &[], |scene| {
        scene.run_usual(&volume)?.ok()?.says(&["1000 was here"])?;
        scene.nothing_is_held()?;
        let holder = scene.hold(&volume, &["--name", "holder"])?;
        scene.docker(&["exec", &holder, "id"])?.ok()?;
        scene.docker(&["logs", "holder"])?.ok()?.says(&["holds"])?;
        let place = scene.host.scratch().join("authz");
        fs::create_dir_all(&place)?;
        fs::write(place.join("file"), "of the host\n")?;
        let file = place.join("file").display().to_string();
        scene.docker(&["cp", &file, "holder:/tmp/"])?.ok()?;
        scene
            .docker(&["cp", &format!("{}:/bin/app", &holder[..12]), "-"])?
            .ok()?;
        scene.docker(&["update", "--restart", "no", "holder"])?.ok()?;
        scene.docker(&["rm", "--force", "holder"])?.ok()?;
        scene.nothing_is_held()?;
        // What is Docker's own, and what is free of the host's.
        let bound = format!("{}:/host:ro", place.display());
        let fresh = format!("{}:/fresh", place.join("not/there/yet").display());
        let options = [
            "--volume",
            &bound,
            "--volume",
            "own:/own",
            "--volume",
            "/anonymous",
        ];
        run_by(scene, "cofferdam", &options, &["cat", "/host/file"])?
            .ok()?
            .says(&["of the host"])?;
        let line = ["create", "--name", "fresh", "--volume", &fresh, "tiny:1"];
        scene.docker(&line)?.ok()?;
        for options in [["type=tmpfs", "device=tmpfs"], ["type=nfs", "device=:/x"]] {
            let [kind, device] = options;
            scene
                .docker(&["volume", "create", "--opt", kind, "--opt", device, "mounted"])?
                .ok()?;
            scene.docker(&["volume", "rm", "mounted"])?.ok()?;
        }
        scene.docker(&["rm", "fresh"])?.ok()?;
        scene.docker(&["volume", "rm", "own"])?.ok()?;
        fs::write(place.join("Dockerfile"), "FROM tiny:1\nRUN id > /built\n")?;
        let context = place.display().to_string();
        scene
            .docker(&["build", "--network", "none", "--tag", "built:1", &context])?
            .ok()?;
        scene.docker(&["image", "rm", "built:1"])?.ok()?;
        Ok(())
    })
}

fn run_by(scene: &Scene, runtime: &str, options: &[&str], argv: &[&str]) -> Outcome<Ran> {
    let line = [&["run", "--rm", "--runtime", runtime], options, &["tiny:1"], argv].concat();
    scene.docker(&line)
}

fn what_no_runtime_is_asked_about_is_refused(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &[])?;
    scene.keeper(&volume, &[])?;
    asking(scene, &["--experimental"], |scene| {
        for (runtime, options) in [
            ("runc", &["--pid", "host"][..]),
            ("runc", &[]),
            ("io.containerd.runc.v2", &[]),
        ] {
            run_by(scene, runtime, options, &["true"])?.refused(&[
                "cofferdam: the runtime",
                runtime,
                "--runtime cofferdam",
            ])?;
        }
        // The words of the road, before the road.
        let missing = "/etc/not-there/yet:/x";
        for (path, word) in [
            ("/etc:/x", "is forbidden"),
            ("/:/x", "contains"),
            ("/var/run/docker.sock:/x", "lies in"),
            ("/srv/../etc/passwd:/x", "lies in"),
            (missing, "lies in"),
            ("/home/alice/.ssh:/x", "holds what a user logs in with"),
        ] {
            scene
                .docker(&["create", "--volume", path, "tiny:1"])?
                .refused(&["cofferdam: the host path", word])?;
        }
        let mount = "type=bind,source=/etc,target=/x";
        scene
            .docker(&["create", "--mount", mount, "tiny:1"])?
            .refused(&["cofferdam: the host path /etc"])?;
        let inline = "type=volume,source=sly,target=/x,volume-driver=local,volume-opt=type=none,volume-opt=o=bind,volume-opt=device=/etc";
        scene
            .docker(&["create", "--mount", inline, "tiny:1"])?
            .refused(&["cofferdam: the host path /etc"])?;
        let create = |options: [&str; 3]| {
            let [kind, device, how] = options.map(|option| format!("--opt={option}"));
            scene.docker(&["volume", "create", &kind, &device, &how, "sly"])
        };
        create(["type=none", "device=/etc", "o=bind"])?.refused(&["cofferdam: the host path /etc"])?;
        create(["type=ext4", "device=/dev/loop0", "o=ro"])?
            .refused(&["cofferdam:", "a disk or filesystem"])?;
        create(["type=overlay", "device=overlay", "o=lowerdir=/etc:/boot"])?
            .refused(&["cofferdam:", "a disk or filesystem"])?;
        let line = [
            "run",
            "--detach",
            "--name",
            "idle",
            "--runtime",
            "cofferdam",
            "tiny:1",
            "sleep",
            "60",
        ];
        scene.docker(&line)?.ok()?;
        scene
            .docker(&["exec", "--privileged", "idle", "true"])?
            .refused(&["authorization denied", "cofferdam:", "was not started with"])?;
        scene
            .docker(&["checkpoint", "create", "--checkpoint-dir", "/etc", "idle", "c"])?
            .refused(&["cofferdam:", "memory"])?;
        scene
            .docker(&["checkpoint", "ls", "--checkpoint-dir", "/etc", "idle"])?
            .refused(&["cofferdam:", "memory"])?;
        scene
            .docker(&[
                "plugin",
                "install",
                "--grant-all-permissions",
                "example.invalid/x",
            ])?
            .refused(&["cofferdam:", "plugin"])?;
        scene
            .docker(&["swarm", "init", "--advertise-addr", "127.0.0.1"])?
            .refused(&["cofferdam:", "swarm"])?;
        Ok(())
    })
}

/// A request that would have runc start a container, so written that a careless reader does not see it.
struct Hidden {
    how: &'static str,
    /// Words of the refusals that it may meet.
    words: &'static [&'static str],
    head: String,
    body: String,
}

/// It was read as Docker reads it.
const READ: &[&str] = &["the runtime \\\"runc\\\" asks nobody"];
/// What readers may differ on is not done.
const TWICE: &[&str] = &["more than once"];
/// What was not shown is not done.
const UNSEEN: &[&str] = &["did not arrive"];
/// Some versions of Docker show it, some do not.
const SEEN_OR_NOT: &[&str] = &["the runtime \\\"runc\\\" asks nobody", "did not arrive"];
/// Nor is what nobody reads any more done.
const OLD: &[&str] = &["from before 1.24"];

const CREATE: &str = "/v1.41/containers/create";
const JSON: &str = "Content-Type: application/json\r\n";

fn hidden(how: &'static str, words: &'static [&'static str], path: &str, body: &str) -> Hidden {
    Hidden {
        how,
        words,
        head: head(path, JSON, body.len()),
        body: body.to_owned(),
    }
}

fn head(path: &str, more: &str, length: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: docker\r\n{more}Content-Length: {length}\r\nConnection: close\r\n\r\n"
    )
}

fn speak(hidden: &Hidden) -> Outcome<Answer> {
    http::speak(Path::new(SOCKET), hidden.head.as_bytes(), hidden.body.as_bytes())
}

fn a_request_is_read_as_docker_reads_it(scene: &mut Scene) -> Outcome {
    let plain = r#"{"Image": "tiny:1", "HostConfig": {"Runtime": "runc"}}"#;
    let padded = plain.to_owned() + &" ".repeat(2 << 20);
    let chunked = Hidden {
        how: "in chunks",
        words: SEEN_OR_NOT,
        head: format!(
            "POST {CREATE} HTTP/1.1\r\nHost: docker\r\n{JSON}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        ),
        body: format!("{:x}\r\n{plain}\r\n0\r\n\r\n", plain.len()),
    };
    let requests = [
        hidden("plainly", READ, CREATE, plain),
        hidden(
            "in another case",
            READ,
            CREATE,
            r#"{"image": "tiny:1", "hostconfig": {"RUNTIME": "runc"}}"#,
        ),
        hidden(
            "with a long s",
            READ,
            CREATE,
            r#"{"Image": "tiny:1", "HoſtConfig": {"Runtime": "runc"}}"#,
        ),
        hidden(
            "with an escape",
            READ,
            CREATE,
            r#"{"Image": "tiny:1", "HostConfig": {"Runt\u0069me": "r\u0075nc"}}"#,
        ),
        hidden(
            "twice",
            TWICE,
            CREATE,
            r#"{"Image": "tiny:1", "HostConfig": {"Runtime": "cofferdam", "runtime": "runc"}}"#,
        ),
        hidden(
            "twice, laid over each other",
            TWICE,
            CREATE,
            r#"{"Image": "tiny:1", "HostConfig": {"Runtime": "runc"}, "HostConfig": {"Binds": []}}"#,
        ),
        hidden(
            "beside where it belongs",
            READ,
            CREATE,
            r#"{"Image": "tiny:1", "Runtime": "runc"}"#,
        ),
        hidden("with more behind it", READ, CREATE, &format!("{plain}{{}}")),
        hidden("by an encoded path", READ, "/v1.41/containers/%63reate", plain),
        hidden("by an encoded slash", READ, "/v1.41/containers%2Fcreate", plain),
        hidden(
            "by a whole URI",
            READ,
            "http://docker/v1.41/containers/create",
            plain,
        ),
        hidden("without a version", READ, "/containers/create", plain),
        hidden(
            "as if it were a login",
            SEEN_OR_NOT,
            "/v1.41/containers/create?x=/auth",
            plain,
        ),
        hidden("at length", UNSEEN, CREATE, &padded),
        chunked,
        hidden("for an old API", OLD, "/v1.23/containers/create", plain),
        hidden(
            "when a container starts, for an old API",
            OLD,
            "/v1.23/containers/idle/start",
            r#"{"Runtime": "runc"}"#,
        ),
    ];
    asking(scene, &[], |scene| {
        let line = [
            "create",
            "--name",
            "idle",
            "--runtime",
            "cofferdam",
            "tiny:1",
            "true",
        ];
        scene.docker(&line)?.ok()?;
        for request in &requests {
            let answer = speak(request)?;
            ensure(
                answer.status == 403 && request.words.iter().any(|words| answer.body.contains(words)),
                || format!("{}: {} {}", request.how, answer.status, answer.body),
            )?;
        }
        let twice = speak(&hidden("", &[], "//v1.41/containers/create", plain))?;
        ensure(twice.status == 301, || format!("a double slash: {twice:?}"))?;
        let runtimes = ["ps", "--all", "--quiet"];
        let made = scene.docker(&runtimes)?.ok()?.out;
        ensure(made.lines().count() == 1, || {
            format!("something was made: {made}")
        })?;
        // The same ways with nothing in them that matters.
        let harmless =
            r#"{"image": "tiny:1", "Labels": {"a": "1", "A": "2"}, "HostConfig": {"Runtime": "cofferdam"}}"#;
        for path in ["/v1.41/containers/%63reate", "http://docker/containers/create"] {
            let answer = speak(&hidden("", &[], path, harmless))?;
            ensure(answer.status == 201, || format!("{path}: {answer:?}"))?;
        }
        Ok(())
    })
}

fn a_copy_is_judged_when_it_is_made(scene: &mut Scene) -> Outcome {
    let place = scene.host.scratch().join("copied");
    fs::create_dir_all(place.join("free"))?;
    let link = place.join("link");
    symlink(place.join("free"), &link)?;
    let bound = format!("{}:/x", link.display());
    let sly = ["--opt", "type=none", "--opt", "o=bind", "--opt", "device=/etc"];
    // Made before Docker asks anybody.
    scene
        .docker(&["create", "--name", "before", "--volume", "/etc:/x", "tiny:1"])?
        .ok()?;
    scene
        .docker(&[&["volume", "create"], &sly[..], &["sly"]].concat())?
        .ok()?;
    scene
        .docker(&["create", "--name", "driven", "--volume", "sly:/x", "tiny:1"])?
        .ok()?;
    asking(scene, &[], |scene| {
        scene
            .docker(&["create", "--name", "linked", "--volume", &bound, "tiny:1"])?
            .ok()?;
        scene.docker(&["cp", "linked:/x", "-"])?.ok()?;
        fs::remove_file(&link)?;
        symlink("/etc", &link)?;
        for container in ["before", "driven", "linked"] {
            scene
                .docker(&["cp", &format!("{container}:/x/passwd"), "-"])?
                .refused(&["cofferdam: the host path", "forbidden"])?
                .silent_on(&["root:"])?;
            let place = format!("/v1.41/containers/{container}/archive?path=/x");
            let answer = http::request(Path::new(SOCKET), "PUT", &place, b"")?;
            ensure(
                answer.status == 403 && answer.body.contains("cofferdam: the host path"),
                || format!("{container}: {answer:?}"),
            )?;
        }
        // What is free is copied, until it is somebody's.
        let free = place.join("free").display().to_string();
        let mount = format!("{free}:/x");
        scene
            .docker(&["create", "--name", "free", "--volume", &mount, "tiny:1"])?
            .ok()?;
        scene.docker(&["cp", "free:/x", "-"])?.ok()?;
        let app = scene.app("reader", "tiny:1", &["--allow-mount", "/x"])?;
        scene
            .cofferdam(&["host-path", "allow", &free, "--to", &app])?
            .ok()?;
        scene
            .docker(&["cp", "free:/x", "-"])?
            .refused(&["cofferdam: the host path", "for named apps alone"])?;
        scene
            .docker(&["cp", "nobody:/x", "-"])?
            .refused(&["cofferdam:", "no container"])?;
        scene.host.remove_containers()?;
        scene.docker(&["volume", "rm", "sly"])?.ok()?;
        Ok(())
    })
}

/// Docker mounts a new container's volumes as root, and fills those that are empty, before any runtime is asked.
fn what_docker_would_fill_is_judged_before_it_does(scene: &mut Scene) -> Outcome {
    let (free, root) = (scene.host.scratch().join("filled"), Path::new("/root/filled"));
    for empty in [free.join("real"), root.to_owned()] {
        fs::create_dir_all(empty)?;
    }
    let link = free.join("link");
    symlink(free.join("real"), &link)?;
    let device = format!("device={}", link.display());
    let line = ["create", "--volume", "sly:/bin", "tiny:1"];
    let result = asking(scene, &[], |scene| {
        let options = ["--opt", "type=none", "--opt", "o=bind", "--opt", &device, "sly"];
        scene
            .docker(&[&["volume", "create"], &options[..]].concat())?
            .ok()?;
        fs::remove_file(&link)?;
        symlink(root, &link)?;
        scene
            .docker(&line)?
            .refused(&["cofferdam: the host path", "forbidden"])?;
        let found = fs::read_dir(root)?.count();
        ensure(found == 0, || format!("Docker has put {found} files there"))?;
        // What is free is filled as ever.
        fs::remove_file(&link)?;
        symlink(free.join("real"), &link)?;
        scene.docker(&line)?.ok()?;
        let found = fs::read_dir(free.join("real"))?.count();
        ensure(found > 0, || "Docker has filled nothing".to_owned())?;
        scene.host.remove_containers()?;
        scene.docker(&["volume", "rm", "sly"])?.ok().map(drop)
    });
    // What went wrong first is what is told.
    result?;
    fs::remove_dir(root).during("nothing in /root/filled, also in the end")?;
    // Docker may still be at what it was told to remove.
    until("what was filled is removed", Duration::from_secs(10), || {
        fs::remove_dir_all(&free).is_ok()
    })
}

fn it_only_observes_where_the_settings_say_so(scene: &mut Scene) -> Outcome {
    let settings = |scene: &mut Scene, mode: &str| {
        scene.host.daemon.stop()?;
        scene.host.settings(&match mode {
            "" => String::new(),
            mode => format!("[guard]\nneighbours = \"{mode}\"\nhost_paths = \"{mode}\""),
        })?;
        scene.host.daemon.start()
    };
    let result = asking(scene, &[], |scene| {
        settings(scene, "observe")?;
        run_by(scene, "runc", &["--volume", "/etc:/x"], &["true"])?.ok()?;
        let told = |scene: &Scene| scene.cofferdam(&["ledger", "tail", "--lines", "50"])?.ok();
        let seen = |told: Ran| told.out.matches("would have refused").count();
        let once = told(scene)?.says(&["would have refused POST", "the runtime", "nobody in particular"])?;
        let once = seen(once);
        settings(scene, "off")?;
        run_by(scene, "runc", &["--volume", "/etc:/x"], &["true"])?.ok()?;
        ensure(seen(told(scene)?) == once, || {
            "what is off was looked at".to_owned()
        })?;
        Ok(())
    });
    settings(scene, "")?;
    result
}

/// Keys and certificates: an authority, the engine's, and two clients', one of whom has chosen his name with care.
const CERTIFICATES: &str = r#"
cd "$1"
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.pem
sign() {
    openssl req -newkey rsa:2048 -nodes -utf8 -subj "/CN=$2" -keyout "$1.key" -out "$1.csr"
    printf '%s\n' "$3" > "$1.ext"
    openssl x509 -req -days 2 -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -extfile "$1.ext" -out "$1.pem"
}
sign engine engine subjectAltName=IP:127.0.0.1
sign ada ada extendedKeyUsage=clientAuth
sign eve "$(printf 'eve\033[2J, by root')" extendedKeyUsage=clientAuth
"#;

fn the_ledger_says_which_user_asked(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    let place = scene.host.scratch().join("certificates");
    fs::create_dir_all(&place)?;
    let directory = place.display().to_string();
    run("sh", &["-ec", CERTIFICATES, "sh", &directory])?.ok()?;
    let file = |name: &str| place.join(name).display().to_string();
    let (authority, certificate, key) = (file("ca.pem"), file("engine.pem"), file("engine.key"));
    let (socket, address) = (format!("unix://{SOCKET}"), "tcp://127.0.0.1:2376");
    let options = [
        "--host",
        &socket,
        "--host",
        address,
        "--tlsverify",
        "--tlscacert",
        &authority,
        "--tlscert",
        &certificate,
        "--tlskey",
        &key,
    ];
    let fresh = scene.named("fresh");
    asking(scene, &options, |scene| {
        let by = |user: &str, words: &[&str]| {
            let (certificate, key) = (file(&format!("{user}.pem")), file(&format!("{user}.key")));
            let who = [
                "--host",
                address,
                "--tlsverify",
                "--tlscacert",
                &authority,
                "--tlscert",
                &certificate,
                "--tlskey",
                &key,
            ];
            scene.docker(&[&who, words].concat())
        };
        let mount = format!("{volume}:/data");
        let line = [
            "run",
            "--rm",
            "--runtime",
            "cofferdam",
            "--user",
            "1000",
            "--volume",
            &mount,
            "tiny:1",
        ];
        by("ada", &line)?.ok()?;
        by("ada", &["volume", "create", "--driver", "cofferdam", &fresh])?.ok()?;
        by("ada", &["volume", "rm", &fresh])?.ok()?;
        by("eve", &["create", "--volume", "/etc:/x", "tiny:1"])?
            .refused(&["cofferdam: the host path /etc"])?;
        scene
            .docker(&["create", "--volume", "/root:/x", "tiny:1"])?
            .refused(&["cofferdam:"])?;
        let told = scene.cofferdam(&["ledger", "tail", "--lines", "40"])?.ok()?;
        let ada = "by ada (a client of Docker's, by TLS)";
        told.says(&[
            &format!("asked Docker for a container with volume {volume}, {ada}"),
            &format!("asked Docker to create volume {fresh}, {ada}"),
            &format!("asked Docker to remove volume {fresh}, {ada}"),
            "refused POST",
            "by eve",
            "[2J, by root (a client of Docker's, by TLS)",
            "by nobody in particular",
        ])?
        .silent_on(&["\u{1b}"])?;
        let file = file("ledger");
        let shown = scene.cofferdam(&["--json", "ledger", "key"])?.ok()?.json()?;
        let key = shown
            .get("key")
            .and_then(serde_json::Value::as_str)
            .during("the key")?;
        scene.cofferdam(&["ledger", "export", &file])?.ok()?;
        scene
            .cofferdam(&["ledger", "verify", &file, "--key", key])?
            .ok()?;
        Ok(())
    })?;
    Ok(fs::remove_dir_all(place)?)
}

fn without_the_daemon_docker_refuses_everything(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    scene.keeper(&volume, &[])?;
    let asked = || http::request(Path::new(SOCKET), "GET", "/v1.41/containers/json", b"");
    asking(scene, &[], |scene| {
        scene.hold(&volume, &[])?;
        scene.host.daemon.stop()?;
        let answer = asked()?;
        let words = "plugin cofferdam failed with error";
        ensure(answer.status >= 400 && answer.body.contains(words), || {
            format!("{answer:?}")
        })?;
        // What runs goes on; and so does Docker, once it can ask.
        scene.host.daemon.start()?;
        until("Docker answers again", Duration::from_secs(40), || {
            asked().is_ok_and(|answer| answer.status == 200)
        })?;
        ensure(scene.attachments()?.len() == 1, || {
            "the holder is gone".to_owned()
        })?;
        scene.host.daemon.kill()?;
        scene.host.daemon.start()?;
        ensure(asked()?.status == 200, || "Docker does not answer".to_owned())?;
        scene.host.remove_containers()?;
        scene.host.engine.stop()?;
        scene.host.daemon.stop()?;
        let started = scene.host.engine.start(&[ASKING]);
        scene.host.daemon.start()?;
        let failure = started.err().during("Docker started with nobody to ask")?;
        ensure(
            failure.to_string().contains("Unable to locate plugin: cofferdam"),
            || failure.to_string(),
        )
    })
}
