//! What a daemon answers, written by hand after `cofferdam_model::api`, hostile text included.

use crate::server::Answer;
use serde_json::{Value, json};

pub(crate) const DEED: &str = "sha256:5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e";
pub(crate) const IMAGE: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const CHAIN: &str = "sha256:01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b";
const CONTAINER: &str = "3f2a9c0d1e2f3a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3";

pub(crate) fn ok(value: Value) -> Answer {
    Answer::Json(200, value)
}

pub(crate) fn problem(status: u16, kind: &str, message: &str, remedy: Option<&str>) -> Answer {
    let mut body = json!({"kind": kind, "message": message});
    if let Some(remedy) = remedy {
        body["remedy"] = remedy.into();
    }
    Answer::Json(status, body)
}

pub(crate) fn status(warnings: Value) -> Value {
    json!({
        "version": "0.1.0", "recipient": "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj", "since": "2026-11-24T09:00:00Z", "tenants": 2, "apps": 2, "volumes": 2,
        "grants": 1, "attachments": 1, "warnings": warnings,
    })
}

pub(crate) fn tenant() -> Value {
    json!({"name": "payments", "created": "2026-11-21T12:00:00.25Z", "apps": 1, "volumes": 2})
}

pub(crate) fn joined_tenant() -> Value {
    let mut tenant = tenant();
    tenant["members"] = json!([{"uid": 1000, "user": "alice"}, {"uid": 1001, "user": "1001"}]);
    tenant
}

pub(crate) fn ticket() -> Value {
    json!({"ticket": "eyJwYXlsb2FkIjoi", "app": "payments.postgres", "until": "2026-11-25T12:00:00Z"})
}

pub(crate) fn app() -> Value {
    json!({
        "name": "payments.postgres", "image_reference": "postgres:16",
        "rule": {"image": IMAGE, "command": "image", "user": "any", "network": "own"},
        "created": "2026-11-24T11:57:00Z",
    })
}

/// An app with every relaxation, and argv that tries to fool the terminal.
pub(crate) fn relaxed_app() -> Value {
    json!({
        "name": "default.report", "image_reference": "debian:12\u{1b}[31m",
        "rule": {
            "image": IMAGE,
            "command": {"exactly": ["/usr/bin/report", "--title", "two words", "\u{202e}hs\u{1b}[2J\n"]},
            "user": {"exactly": {"uid": 1000, "gid": 1001}},
            "cwd": "/srv/report",
            "network": "host",
            "mounts": ["/etc/report"],
            "allow": ["cap:NET_ADMIN", "unmasked-paths"],
            "ticket": true,
        },
        "created": "2026-11-20T12:00:00Z",
    })
}

pub(crate) fn grant() -> Value {
    json!({"volume": "payments.pgdata", "app": "payments.postgres", "write": true, "exec": false})
}

pub(crate) fn host_path_grant() -> Value {
    json!({
        "path": "/srv/www", "app": "payments.web", "rule": app()["rule"], "write": false, "map_owner": true,
        "until": "2026-12-01T12:00:00Z",
    })
}

pub(crate) fn narrow_grant() -> Value {
    json!({
        "volume": "payments.pgdata", "app": "payments.postgres", "write": false, "exec": false,
        "until": "2026-12-01T12:00:00Z",
    })
}

pub(crate) fn attachment() -> Value {
    json!({
        "volume": "payments.pgdata", "volume_id": "00112233445566778899aabbccddeeff", "container": CONTAINER,
        "app": "payments.postgres", "destination": "/var/lib/postgresql\u{1b}[1A", "read_only": false,
        "exec": false, "epoch": 3, "since": "2026-11-24T11:30:00Z",
        "process": {"pid": 4711, "started": 123456}, "runtime_root": "/run/docker/runtime-runc/moby",
        "boot": "6a0b1c2d-3e4f-5061-7283-94a5b6c7d8e9",
    })
}

pub(crate) fn volume() -> Value {
    json!({
        "volume": {
            "name": "payments.pgdata", "id": "00112233445566778899aabbccddeeff",
            "sealed": {"deed": 4, "digest": DEED}, "size": 10_737_418_240_u64,
            "access": "exclusive", "maker": "admin", "created": "2026-11-24T11:00:00Z",
            "owner": {"uid": 999, "gid": 999}, "epoch": 3,
        },
        "grants": [grant(), {
            "volume": "payments.pgdata", "app": "reports.nightly", "write": false, "exec": true,
            "until": "2026-11-24T10:00:00Z",
        }],
        "attachments": [attachment()], "space": 1_343_225_856,
    })
}

pub(crate) fn empty_volume() -> Value {
    json!({
        "volume": {
            "name": "default.uploads", "id": "ffeeddccbbaa99887766554433221100", "access": "shared",
            "maker": "docker", "created": "2026-11-24T12:00:00Z", "epoch": 0,
        },
        "grants": [], "attachments": [],
    })
}

pub(crate) fn volume_with(grants: Value) -> Value {
    let mut detail = volume();
    detail["grants"] = grants;
    detail
}

pub(crate) fn measurement() -> Value {
    json!({
        "container": CONTAINER,
        "image": {"config": IMAGE, "chain": CHAIN},
        "image_command": ["docker-entrypoint.sh", "postgres"],
        "argv": ["docker-entrypoint.sh", "postgres"],
        "cwd": "/",
        "user": {"owner": {"uid": 999, "gid": 999}, "groups": [], "overrides_ownership": false},
        "mounts": [
            {"index": 0, "destination": "/proc", "kind": {"kernel": "proc"}, "read_only": false},
            {"index": 1, "destination": "/etc/hosts", "kind": "engine", "read_only": false},
            {"index": 2, "destination": "/var/lib/postgresql/data", "kind": {"volume": "payments.pgdata"}, "read_only": false},
        ],
        "namespaces": {
            "pid": "own", "mount": "own", "ipc": "own", "network": "own", "uts": "own", "cgroup": "own", "user": "host",
        },
        "privileges": [],
    })
}

pub(crate) fn allowed() -> Value {
    json!({
        "id": "7f39", "at": "2026-11-24T11:30:00Z", "container": CONTAINER, "verb": "open",
        "volumes": [{
            "volume": "payments.pgdata", "app": "payments.postgres", "allowed": true, "read_only": false,
            "reasons": ["payments.postgres has a grant for payments.pgdata"],
            "policies": ["generic.cedar/read", "generic.cedar/write"],
        }],
        "measurement": measurement(),
        "compared": [{"app": "payments.postgres", "granted": ["payments.pgdata"], "points": [
            {"what": "image", "differs": false, "rule": "sha256:e3b0c44298fc…", "found": "sha256:e3b0c44298fc…"},
            {"what": "user", "differs": false, "rule": "any", "found": "999:999"},
        ]}],
    })
}

/// A decision as a list has it: nothing explains it.
pub(crate) fn bare(mut decision: Value) -> Value {
    if let Some(fields) = decision.as_object_mut() {
        fields.retain(|name, _| !["compared", "more", "remedy"].contains(&name.as_str()));
    }
    decision
}

/// Let in to read, where it asked to write.
pub(crate) fn allowed_to_read() -> Value {
    let mut decision = allowed();
    decision["volumes"][0]["read_only"] = true.into();
    decision["remedy"] = json!({"command": {"line": "cofferdam grant payments.pgdata payments.postgres"}});
    decision
}

/// Another command, another network, a mount from outside; argv and reason try to fool the terminal.
pub(crate) fn refused_launch() -> Value {
    let mut found = measurement();
    found["argv"] = json!(["sh", "-c", "cat '/data/a b'; echo $HOME"]);
    found["namespaces"]["network"] = "host".into();
    found["privileges"] = json!(["cap:NET_ADMIN"]);
    found["user"]["groups"] = json!([10, 999]);
    found["mounts"].as_array_mut().unwrap().push(json!({
        "index": 3, "destination": "/usr/lib/my files", "kind": {"outside": "/tmp/evil\u{1b}[8m"}, "read_only": true,
    }));
    json!({
        "id": "7f3a", "at": "2026-11-24T11:57:00Z", "container": CONTAINER, "verb": "open",
        "volumes": [{
            "volume": "payments.pgdata", "allowed": false,
            "reasons": [
                "argv differs from app payments.postgres (found [\"sh\",\"-c\",\"\u{202e}\"])",
                "a mount from outside lies at /usr/lib/my files\n  - all is well",
            ],
        }],
        "refused": {
            "kind": "denied",
            "message": "payments.pgdata is not open to this container: argv differs from app payments.postgres",
            "remedy": "see: cofferdam why 7f3a",
        },
        "measurement": found,
        "compared": [
            {"app": "payments.postgres", "granted": ["payments.pgdata"], "newer": true, "points": [
                {"what": "image", "differs": false, "rule": "sha256:e3b0c44298fc…", "found": "sha256:e3b0c44298fc…"},
                {"what": "command", "differs": true, "rule": "the image's own", "found": "[\"sh\",\"-c\"]\u{1b}[2J"},
                {"what": "mount /usr/lib/my files", "differs": true, "rule": "not allowed", "found": "\u{202e}x"},
            ]},
            {"app": "payments.report", "granted": [], "points": [
                {"what": "image", "differs": true, "rule": "sha256:01ba4719c80b…", "found": "sha256:e3b0c44298fc…"},
            ]},
        ],
        "more": 2,
        "remedy": {"command": {
            "line": "cofferdam app create payments.postgres-2 --image sha256:e3b0 -- sh -c 'cat '\\''/data/a b'\\''; echo $HOME' && cofferdam grant payments.pgdata payments.postgres-2",
            "besides": "or make the container anew, so that its root filesystem is the image's",
        }},
    })
}

pub(crate) fn refused_without_grant() -> Value {
    let mut decision = refused_launch();
    decision["measurement"] = measurement();
    decision["volumes"][0]["app"] = "payments.postgres".into();
    decision["volumes"][0]["reasons"] = json!(["payments.postgres has no grant for payments.pgdata"]);
    decision["refused"]["message"] = "payments.postgres has no grant for payments.pgdata".into();
    decision["compared"] = json!([]);
    decision["more"] = 0.into();
    decision["remedy"] = json!({"command": {"line": "cofferdam grant payments.pgdata payments.postgres"}});
    decision
}

/// What was given since.
pub(crate) fn refused_until_now() -> Value {
    let mut decision = refused_without_grant();
    decision["remedy"] = "now".into();
    decision
}

pub(crate) fn refused_beyond_any_rule() -> Value {
    let mut decision = refused_without_grant();
    decision["measurement"]["privileges"] = json!(["cap:SYS_ADMIN"]);
    decision["refused"]["message"] = "cap:SYS_ADMIN reaches past the container's walls".into();
    decision["remedy"] = json!({"never": "cap:SYS_ADMIN reaches out of the container"});
    decision
}

pub(crate) fn refused_exec() -> Value {
    let mut decision = refused_without_grant();
    decision["verb"] = "exec".into();
    decision["volumes"][0]["reasons"] = json!(["the grant does not carry exec"]);
    decision["refused"]["message"] = "the grant of payments.postgres does not carry exec".into();
    decision["remedy"] = json!({"told": "cofferdam grant payments.pgdata payments.postgres --exec"});
    decision
}

pub(crate) fn refused_busy() -> Value {
    json!({
        "id": "7f3b", "at": "2026-11-24T11:59:30Z", "container": "c0ffee", "verb": "open",
        "volumes": [{"volume": "payments.pgdata", "app": "payments.postgres", "allowed": false, "reasons": []}],
        "refused": {
            "kind": "busy", "message": "payments.pgdata is held by container 3f2a9c0d1e2f",
            "remedy": "stop that container first",
        },
        "remedy": {"told": "stop that container first"},
    })
}

pub(crate) fn refused_checkpoint() -> Value {
    json!({
        "id": "7f3c", "at": "2026-11-24T11:59:59Z", "container": "c0ffee", "verb": "checkpoint",
        "volumes": [{"volume": "payments.pgdata", "app": "payments.postgres", "allowed": false, "reasons": []}],
        "refused": {"kind": "denied", "message": "a container that holds a volume is not written to a memory image"},
        "remedy": {"never": "a container that holds a volume is not written to a memory image"},
    })
}
