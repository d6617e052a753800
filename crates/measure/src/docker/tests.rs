//! The Docker adapter on a made-up data root with a real overlay mount, and on what a real Docker 20.10 wrote.
//! Each attack changes one thing.

use super::image::hash;
use super::*;
use crate::MadeMount;
use cofferdam_model::{ErrorKind, MountKind, Namespace, Sha256, VolumeName};
use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountFlags, UnmountFlags};
use std::ffi::CString;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

const ID: &str = "5fea82a8b3249068fdc00859ef4e6906bb1558c65097df6dcb0d7de0db085f49";
/// config.json as Docker 20.10 wrote it, with its own paths made neutral.
const CONFIG: &str = include_str!("../../tests/recorded/docker-20.10/config.json");
const IMAGE: &str = r#"{"config":{"Entrypoint":["/bin/app"],"Cmd":["--serve"],"WorkingDir":"/srv","Healthcheck":{"Test":["CMD","/bin/check"]}},"rootfs":{"type":"layers","diff_ids":["DIFF1","DIFF2"]}}"#;

/// A data root with one container of a two-layer image, mounted.
struct Host {
    dir: tempfile::TempDir,
    image: Sha256,
    chain: Sha256,
}

impl Host {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (hash(b"layer one"), hash(b"layer two"));
        let config = IMAGE
            .replace("DIFF1", &one.to_string())
            .replace("DIFF2", &two.to_string());
        let image = hash(config.as_bytes());
        let chain = hash(format!("{one} {two}").as_bytes());
        let host = Host { dir, image, chain };
        host.write(
            &format!("containers/{ID}/config.v2.json"),
            &format!(r#"{{"ID":"{ID}","Image":"{image}","Driver":"overlay2","Name":"/x"}}"#),
        );
        for name in ["hosts", "hostname", "resolv.conf"] {
            host.write(&format!("containers/{ID}/{name}"), "engine's");
        }
        host.write(
            &format!("image/overlay2/imagedb/content/sha256/{}", image.hex()),
            &config,
        );
        for (chain, diff, cache) in [(one, one, "cache1"), (chain, two, "cache2")] {
            host.write(
                &format!("image/overlay2/layerdb/sha256/{}/diff", chain.hex()),
                &diff.to_string(),
            );
            host.write(
                &format!("image/overlay2/layerdb/sha256/{}/cache-id", chain.hex()),
                cache,
            );
            host.write(&format!("overlay2/{cache}/diff/from-{cache}"), cache);
        }
        let own = format!("image/overlay2/layerdb/mounts/{ID}");
        host.write(&format!("{own}/parent"), &chain.to_string());
        host.write(&format!("{own}/mount-id"), "mount");
        host.write(&format!("{own}/init-id"), "mount-init");
        for place in [
            "overlay2/mount-init/diff",
            "overlay2/mount/diff",
            "overlay2/mount/work",
            "overlay2/mount/merged",
            "overlay2/l",
        ] {
            std::fs::create_dir_all(host.path(place)).unwrap();
        }
        for (link, cache) in [("INIT", "mount-init"), ("ONE", "cache1"), ("TWO", "cache2")] {
            symlink(format!("../{cache}/diff"), host.path("overlay2/l").join(link)).unwrap();
        }
        host.mount(&["INIT", "TWO", "ONE"]);
        host
    }

    fn path(&self, place: &str) -> PathBuf {
        self.dir.path().join(place)
    }

    fn write(&self, place: &str, text: &str) {
        let path = self.path(place);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
    }

    fn mount(&self, lower: &[&str]) {
        let link = |name: &&str| self.path("overlay2/l").join(name).display().to_string();
        let lower = lower.iter().map(link).collect::<Vec<_>>().join(":");
        let (upper, work) = (self.path("overlay2/mount/diff"), self.path("overlay2/mount/work"));
        let options = CString::new(format!(
            "lowerdir={lower},upperdir={},workdir={}",
            upper.display(),
            work.display()
        ))
        .unwrap();
        rustix::mount::mount(
            "overlay",
            self.path("overlay2/mount/merged"),
            "overlay",
            MountFlags::empty(),
            options.as_c_str(),
        )
        .unwrap();
    }

    fn unmount(&self) {
        rustix::mount::unmount(self.path("overlay2/mount/merged"), UnmountFlags::DETACH).unwrap();
    }

    fn root(&self) -> OwnedFd {
        open(&self.path("overlay2/mount/merged"))
    }

    fn measure_as(&self, id: &str, config: &str) -> Result<Option<Evidence>> {
        let config = config.replace("DATA_ROOT", &self.dir.path().display().to_string());
        let parsed: serde_json::Value = serde_json::from_str(&config).unwrap_or_default();
        let mounts = parsed["mounts"].as_array().cloned().unwrap_or_default();
        let opened: Vec<(usize, OwnedFd)> = mounts
            .iter()
            .enumerate()
            .filter_map(|(index, mount)| Some((index, mount["source"].as_str()?)))
            .filter(|(_, source)| Path::new(source).is_absolute() && Path::new(source).exists())
            .map(|(index, source)| (index, open(Path::new(source))))
            .collect();
        let sources: Vec<(usize, BorrowedFd<'_>)> = opened
            .iter()
            .map(|(index, source)| (*index, source.as_fd()))
            .collect();
        let root = self.root();
        let container = id.parse().unwrap();
        let bundle = Bundle {
            container: &container,
            config: config.as_bytes(),
            root: root.as_fd(),
            sources: &sources,
            ended: None,
            judged: false,
        };
        let volume = self.path("placeholder");
        let placeholder = volume
            .exists()
            .then(|| FileId::behind(open(&volume).as_fd()).unwrap());
        let lookup = |source: BorrowedFd<'_>| -> Result<Option<VolumeName>> {
            Ok(if Some(FileId::behind(source)?) == placeholder {
                Some("payments.pgdata".parse()?)
            } else {
                None
            })
        };
        Docker::new(self.dir.path().to_owned()).measure(&bundle, &lookup)
    }

    fn measure(&self) -> Result<Evidence> {
        self.measure_as(ID, CONFIG)
            .map(|evidence| evidence.expect("Docker knows it"))
    }

    fn refused(&self) -> String {
        let problem = self.measure().unwrap_err();
        assert_eq!(problem.kind, ErrorKind::Corrupt, "{problem}");
        problem.to_string()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.unmount();
    }
}

fn open(path: &Path) -> OwnedFd {
    rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap()
}

#[test]
fn an_ordinary_container_is_measured_whole() {
    let host = Host::new();
    std::fs::create_dir(host.path("placeholder")).unwrap();
    let Evidence {
        measurement, layers, ..
    } = host.measure().unwrap();
    assert_eq!(
        measurement.image,
        ImageIdentity {
            config: host.image,
            chain: host.chain
        }
    );
    assert_eq!(measurement.image_command, ["/bin/app", "--serve"]);
    assert_eq!(
        (measurement.image_cwd.as_str(), measurement.cwd.as_str()),
        ("/srv", "/")
    );
    assert_eq!(
        measurement.healthcheck.as_deref(),
        Some(&["/bin/check".to_owned()][..])
    );
    assert_eq!(measurement.argv, ["/bin/app", "--serve"]);
    assert_eq!(measurement.user.owner, Owner { uid: 1000, gid: 0 });
    assert!(!measurement.user.overrides_ownership);
    assert!(measurement.privileges.is_empty(), "{:?}", measurement.privileges);
    assert_eq!(measurement.capabilities.len(), 14);
    assert_eq!(
        (measurement.namespaces.pid, measurement.namespaces.user),
        (Namespace::Own, Namespace::Own)
    );
    let volumes: Vec<_> = measurement
        .mounts
        .iter()
        .filter(|mount| matches!(mount.kind, MountKind::Volume(_)))
        .collect();
    assert_eq!(volumes.len(), 1);
    assert_eq!((volumes[0].destination.as_str(), volumes[0].index), ("/data", 7));
    assert!(
        measurement
            .mounts
            .iter()
            .all(|mount| !matches!(mount.kind, MountKind::Outside(_))),
        "{:?}",
        measurement.mounts
    );
    assert_eq!(layers.len(), 2);
    assert!(rustix::fs::statat(&layers[0], "from-cache2", rustix::fs::AtFlags::empty()).is_ok());
}

#[test]
fn containers_of_others_are_left_to_others() {
    let host = Host::new();
    assert!(host.measure_as("not-dockers", CONFIG).unwrap().is_none());
    assert!(host.measure_as(&ID.replace('5', "6"), CONFIG).unwrap().is_none());
    let elsewhere = Docker::new(host.path("nowhere"));
    let (root, container) = (host.root(), ID.parse().unwrap());
    let bundle = Bundle {
        container: &container,
        config: b"{}",
        root: root.as_fd(),
        sources: &[],
        ended: None,
        judged: false,
    };
    assert!(elsewhere.measure(&bundle, &|_| Ok(None)).unwrap().is_none());
}

#[test]
fn a_container_is_found_by_name_or_by_how_its_id_begins() {
    let host = Host::new();
    let docker = Docker::new(host.dir.path().to_owned());
    let id = Some(ID.parse().unwrap());
    for text in [ID, "x", &ID[..6]] {
        assert_eq!(docker.find(text).unwrap(), id, "{text}");
    }
    assert_eq!(docker.find("y").unwrap(), None);
    // One that cannot be read may have the very name: no other is taken for it then.
    let other = ID.replace('5', "6");
    host.write(&format!("containers/{other}/config.v2.json"), "{");
    assert!(docker.find(&ID[..6]).is_err());
    assert!(docker.find("y").is_err());
    for text in [ID, "x"] {
        assert_eq!(docker.find(text).unwrap(), id, "{text}");
    }
}

#[test]
fn a_changed_image_config_is_found() {
    let host = Host::new();
    let place = format!("image/overlay2/imagedb/content/sha256/{}", host.image.hex());
    let config = std::fs::read_to_string(host.path(&place)).unwrap();
    host.write(&place, &config.replace("/bin/app", "/bin/evil"));
    assert!(host.refused().contains("was changed"));
}

#[test]
fn a_container_of_other_layers_is_found() {
    let host = Host::new();
    host.write(
        &format!("image/overlay2/layerdb/mounts/{ID}/parent"),
        &hash(b"other").to_string(),
    );
    assert!(host.refused().contains("other layers than its image"));
}

#[test]
fn a_layer_in_anothers_place_is_found() {
    let host = Host::new();
    host.write(
        &format!("image/overlay2/layerdb/sha256/{}/diff", host.chain.hex()),
        &hash(b"other").to_string(),
    );
    assert!(host.refused().contains("another layer"));
}

#[test]
fn an_overlay_of_other_layers_is_found() {
    let host = Host::new();
    std::fs::create_dir_all(host.path("overlay2/evil/diff")).unwrap();
    symlink("../evil/diff", host.path("overlay2/l/EVIL")).unwrap();
    for lower in [
        &["INIT", "EVIL", "TWO", "ONE"][..],
        &["INIT", "TWO"],
        &["INIT", "ONE", "TWO"],
        &["EVIL", "TWO", "ONE"],
    ] {
        host.unmount();
        host.mount(lower);
        assert!(host.refused().contains("other layers"), "{lower:?}");
    }
}

#[test]
fn another_root_filesystem_is_found() {
    let host = Host::new();
    std::fs::create_dir_all(host.path("overlay2/other/merged")).unwrap();
    std::fs::create_dir_all(host.path("overlay2/other/diff")).unwrap();
    host.write(&format!("image/overlay2/layerdb/mounts/{ID}/mount-id"), "other");
    assert!(host.refused().contains("not the one that Docker made"));
    host.write(
        &format!("image/overlay2/layerdb/mounts/{ID}/mount-id"),
        "../../etc",
    );
    assert!(host.refused().contains("does not name a directory"));
}

#[test]
fn the_state_of_another_container_is_found() {
    let host = Host::new();
    let other = ID.replace('5', "6");
    host.write(
        &format!("containers/{ID}/config.v2.json"),
        &format!(
            r#"{{"ID":"{other}","Image":"{}","Driver":"overlay2"}}"#,
            host.image
        ),
    );
    assert!(host.refused().contains("another container"));
}

#[test]
fn links_and_files_of_others_are_not_believed() {
    let host = Host::new();
    let place = host.path(&format!("containers/{ID}/config.v2.json"));
    chown(&place, Some(1000), None).unwrap();
    assert!(host.refused().contains("others than root"));
    chown(&place, Some(0), None).unwrap();
    std::fs::set_permissions(&place, PermissionsExt::from_mode(0o622)).unwrap();
    assert!(host.refused().contains("others than root"));
    std::fs::rename(&place, host.path("moved")).unwrap();
    symlink(host.path("moved"), &place).unwrap();
    assert!(host.refused().contains("cannot open"));
    std::fs::rename(host.path("containers"), host.path("real")).unwrap();
    symlink(host.path("real"), host.path("containers")).unwrap();
    assert!(host.refused().contains("cannot open"));
}

#[test]
fn other_drivers_are_named() {
    let host = Host::new();
    host.write(
        &format!("containers/{ID}/config.v2.json"),
        &format!(r#"{{"ID":"{ID}","Image":"{}","Driver":"overlayfs"}}"#, host.image),
    );
    let problem = host.measure().unwrap_err();
    assert_eq!(problem.kind, ErrorKind::Unavailable);
    assert!(problem.message.contains("overlayfs"));
}

#[test]
fn bundles_made_to_harm_are_refused() {
    let host = Host::new();
    let twice = CONFIG.replacen("\"args\"", "\"ARGS\":[\"/bin/app\"],\"args\"", 1);
    let huge = format!("{}{}", CONFIG, " ".repeat(1 << 20));
    let deep = CONFIG.replacen(
        "\"ociVersion\"",
        &format!("\"x\":{}{},\"ociVersion\"", "[".repeat(1000), "]".repeat(1000)),
        1,
    );
    for config in ["", "{}", "[]", &twice, &deep] {
        assert!(host.measure_as(ID, config).is_err());
    }
    assert!(host.measure_as(ID, &huge).is_ok());
}

#[test]
fn what_comes_from_outside_is_seen() {
    let host = Host::new();
    let evil = host.path("evil");
    std::fs::write(&evil, "x").unwrap();
    let hosts = "DATA_ROOT/containers/5fea82a8b3249068fdc00859ef4e6906bb1558c65097df6dcb0d7de0db085f49/hosts";
    assert!(CONFIG.contains(hosts));
    let config = CONFIG.replace(hosts, &evil.display().to_string());
    let measurement = host.measure_as(ID, &config).unwrap().unwrap().measurement;
    let outside: Vec<_> = measurement
        .mounts
        .iter()
        .filter(|mount| matches!(mount.kind, MountKind::Outside(_)))
        .collect();
    assert!(
        outside.iter().any(|mount| mount.destination == "/etc/hosts"),
        "{outside:?}"
    );
}

/// Containers that a real Docker 20.10 made, each with one thing that is not ordinary.
#[test]
fn what_docker_itself_writes_is_understood() {
    let host = Host::new();
    let found = |config: &str| host.measure_as(ID, config).unwrap().unwrap().measurement;
    let shareable = found(include_str!("../../tests/recorded/docker-20.10/shareable.json"));
    assert!(shareable.privileges.is_empty(), "{:?}", shareable.privileges);
    let joined = found(include_str!("../../tests/recorded/docker-20.10/joined.json"));
    let spaces = joined.namespaces;
    assert_eq!(
        (spaces.pid, spaces.ipc, spaces.uts),
        (Namespace::Foreign, Namespace::Foreign, Namespace::Own)
    );
    assert!(joined.user.overrides_ownership);
    let shared = found(include_str!("../../tests/recorded/docker-20.10/host.json"));
    assert_eq!(
        (shared.namespaces.pid, shared.namespaces.mount),
        (Namespace::Host, Namespace::Own)
    );
    let names: Vec<String> = shared.privileges.iter().map(ToString::to_string).collect();
    for wanted in [
        "cap:NET_ADMIN",
        "cap:SYS_PTRACE",
        "device:/dev/x",
        "block-device:/dev/vda",
        "namespace:ipc",
        "namespace:uts",
        "unconfined-seccomp",
        "unmasked-paths",
    ] {
        assert!(
            names.iter().any(|name| name == wanted),
            "{wanted} is not in {names:?}"
        );
    }
    let image = include_bytes!("../../tests/recorded/docker-20.10/image.json");
    let state = include_str!("../../tests/recorded/docker-20.10/config.v2.json");
    assert!(state.contains(&format!(r#""Image":"{}""#, hash(image))));
}

#[test]
fn id_maps_that_no_kernel_takes_are_refused() {
    let host = Host::new();
    let with = |inside: u32, size: u32| {
        let map = format!(r#"[{{"containerID":{inside},"hostID":100000,"size":{size}}}]"#);
        let mut config: serde_json::Value = serde_json::from_str(CONFIG).unwrap();
        config["linux"]["uidMappings"] = serde_json::from_str(&map).unwrap();
        config["linux"]["gidMappings"] = config["linux"]["uidMappings"].clone();
        let user = serde_json::json!({"type": "user"});
        config["linux"]["namespaces"].as_array_mut().unwrap().push(user);
        host.measure_as(ID, &config.to_string())
    };
    assert!(with(0, 65_536).is_ok());
    assert!(with(0, 0).is_err());
    assert!(with(u32::MAX, 2).is_err());
}

#[test]
fn what_a_container_was_made_with_is_read() {
    let host = Host::new();
    let (docker, id) = (Docker::new(host.dir.path().to_owned()), ID.parse().unwrap());
    assert_eq!(docker.made(&id).unwrap(), None);
    let made = |host_config: &str| {
        host.write(&format!("containers/{ID}/hostconfig.json"), host_config);
        docker.made(&id).unwrap().unwrap()
    };
    for (text, every) in [
        (r#"{"Privileged": true}"#, true),
        (r#"{"Privileged": false, "CapAdd": ["CAP_KILL", "all"]}"#, true),
        (r#"{"CapAdd": ["CAP_SYS_ADMIN"]}"#, false),
        (r#"{"CapAdd": null}"#, false),
    ] {
        assert_eq!(made(text).every_capability, every, "{text}");
    }
    let mounts = r#"{"/a": {"Source": "/srv/a", "Destination": "/a", "Type": "bind"},
        "/b": {"Source": "", "Destination": "/b", "Type": "volume", "Name": "sly", "Driver": "local"},
        "/c": {"Destination": "/c", "Type": "volume", "Name": "plain", "Driver": "local"},
        "/d": {"Source": "/run/x", "Destination": "/d", "Type": "volume", "Name": "x.y", "Driver": "cofferdam"}}"#;
    let config = format!(r#"{{"ID":"{ID}","Name":"/x","MountPoints":{mounts}}}"#);
    host.write(&format!("containers/{ID}/config.v2.json"), &config);
    host.write(
        "volumes/sly/opts.json",
        r#"{"MountType":"none","MountOpts":"bind","MountDevice":"/etc","Quota":{"Size":0}}"#,
    );
    let local = |name: &str, kind: &str, device: &str, options: &str| MadeMount::Local {
        name: name.to_owned(),
        destination: if name == "sly" { "/b" } else { "/c" }.to_owned(),
        kind: kind.to_owned(),
        device: device.to_owned(),
        options: options.to_owned(),
    };
    let path = MadeMount::HostPath {
        source: "/srv/a".to_owned(),
        destination: "/a".to_owned(),
    };
    let expected = [
        path,
        local("sly", "none", "/etc", "bind"),
        local("plain", "", "", ""),
    ];
    assert_eq!(made("{}").mounts, expected);
}
