//! Docker's state directory as a fuzz input has it: the files that Docker writes are the input's, the filesystem that is mounted is a
//! real overlay, made once.
//!
//! An input is a text in pieces, with a line `====` between them; what is missing is as it should be. `@IMAGE@`, `@CHAIN@`, `@DIFF1@`,
//! `@DIFF2@` and `@ROOT@` stand for what fits, so that one changed byte does not spoil all that follows. An input that begins with `!`
//! has its image config at the place of the good one, whose digest it has no more.

use cofferdam_linux::mount;
use cofferdam_measure::{Bundle, Docker, Engine, Evidence};
use cofferdam_model::{ContainerId, Result};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::MountFlags;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::ffi::CString;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// The container.
pub const ID: &str = "5fea82a8b3249068fdc00859ef4e6906bb1558c65097df6dcb0d7de0db085f49";

/// What each piece is where it is missing: config.v2.json, the image's config, config.json, the layers' `parent`, `mount-id`,
/// `init-id`, the first layer's `diff` and its `cache-id`.
const GOOD: [&str; 8] = [
    r#"{"ID":"5fea82a8b3249068fdc00859ef4e6906bb1558c65097df6dcb0d7de0db085f49","Image":"@IMAGE@","Driver":"overlay2","Name":"/x"}"#,
    r#"{"config":{"Entrypoint":["/bin/app"],"Env":["A=b"]},"rootfs":{"type":"layers","diff_ids":["@DIFF1@","@DIFF2@"]}}"#,
    r#"{"process":{"args":["/bin/app"],"cwd":"/","user":{"uid":0,"gid":0}},"linux":{"namespaces":[{"type":"pid"},{"type":"mount"}]}}"#,
    "@CHAIN@",
    "mount",
    "mount-init",
    "@DIFF1@",
    "cache1",
];

/// The state directory, on a tmpfs in a mount namespace of this process.
pub struct Host {
    root: PathBuf,
    diffs: [String; 2],
    /// The digest of the good image config.
    good: String,
}

impl Default for Host {
    fn default() -> Self {
        Self::new().expect("the fuzz target engine_state mounts an overlay: run it as root")
    }
}

impl Host {
    fn new() -> std::io::Result<Self> {
        let root = PathBuf::from("/tmp");
        mount::enter_private_namespace()?;
        mount::DetachedMount::tmpfs(256 << 20, 65_536, 0o700)?.attach_at(&root)?;
        let diffs = [digest(b"layer one"), digest(b"layer two")];
        let mut host = Host {
            root,
            diffs,
            good: String::new(),
        };
        host.good = digest(host.filled(GOOD[1], "", "").as_bytes());
        for place in [
            "cache1/diff",
            "cache2/diff",
            "mount-init/diff",
            "mount/diff",
            "mount/work",
            "mount/merged",
            "l",
        ] {
            fs::create_dir_all(host.path("overlay2").join(place))?;
        }
        for (link, layer) in [("INIT", "mount-init"), ("ONE", "cache1"), ("TWO", "cache2")] {
            symlink(format!("../{layer}/diff"), host.path("overlay2/l").join(link))?;
        }
        let at = |place: &str| host.path(place).display().to_string();
        let options = format!(
            "lowerdir={}:{}:{},upperdir={},workdir={}",
            at("overlay2/l/INIT"),
            at("overlay2/l/TWO"),
            at("overlay2/l/ONE"),
            at("overlay2/mount/diff"),
            at("overlay2/mount/work"),
        );
        let options = CString::new(options)?;
        rustix::mount::mount(
            "overlay",
            host.path("overlay2/mount/merged"),
            "overlay",
            MountFlags::empty(),
            options.as_c_str(),
        )?;
        Ok(host)
    }

    fn path(&self, place: &str) -> PathBuf {
        self.root.join(place)
    }

    fn filled(&self, text: &str, image: &str, chain: &str) -> String {
        let text = text
            .replace("@DIFF1@", &self.diffs[0])
            .replace("@DIFF2@", &self.diffs[1]);
        text.replace("@IMAGE@", image)
            .replace("@CHAIN@", chain)
            .replace("@ROOT@", &self.root.display().to_string())
    }

    /// Lays the input out; answers the bytes of config.json, and the chain id of the image's layers, by another hand than the product's.
    fn lay_out(&self, input: &str) -> std::io::Result<(String, Option<String>)> {
        let exchanged = input.starts_with('!');
        let input = input.strip_prefix('!').unwrap_or(input);
        let mut pieces = GOOD;
        for (piece, given) in pieces.iter_mut().zip(input.split("\n====\n")) {
            if !given.is_empty() {
                *piece = given;
            }
        }
        let image = self.filled(pieces[1], "", "");
        let own = digest(image.as_bytes());
        let chains = chains(&image);
        let chain = chains.last().cloned();
        let fill = |text: &str| {
            self.filled(
                text,
                if exchanged { &self.good } else { &own },
                chain.as_deref().unwrap_or_default(),
            )
        };
        for place in ["image", "containers"] {
            if self.path(place).exists() {
                fs::remove_dir_all(self.path(place))?;
            }
        }
        write(
            &self.path(&format!("containers/{ID}/config.v2.json")),
            &fill(pieces[0]),
        )?;
        let place = if exchanged { &self.good } else { &own };
        write(
            &self.path(&format!("image/overlay2/imagedb/content/sha256/{}", hex(place))),
            &image,
        )?;
        let mounts = format!("image/overlay2/layerdb/mounts/{ID}");
        for (name, piece) in [
            ("parent", pieces[3]),
            ("mount-id", pieces[4]),
            ("init-id", pieces[5]),
        ] {
            write(&self.path(&mounts).join(name), &fill(piece))?;
        }
        let diffs = diff_ids(&image);
        for (index, chain) in chains.iter().enumerate() {
            let layer = self.path(&format!("image/overlay2/layerdb/sha256/{}", hex(chain)));
            let (diff, cache) = match index {
                0 => (fill(pieces[6]), fill(pieces[7])),
                _ => (diffs[index].clone(), "cache2".to_owned()),
            };
            write(&layer.join("diff"), &diff)?;
            write(&layer.join("cache-id"), &cache)?;
        }
        Ok((fill(pieces[2]), chain))
    }

    /// Measures the container of an input, and asks all else that an engine is asked.
    ///
    /// # Panics
    /// Where a measurement names an image that is not there byte for byte, or other layers than that has.
    pub fn measure(&self, input: &str) -> Option<Result<Option<Evidence>>> {
        let (config, chain) = self.lay_out(input).ok()?;
        let container: ContainerId = ID.parse().expect("an id");
        let engine = Docker::new(self.root.clone());
        let root = open(&self.path("overlay2/mount/merged"));
        let sources = sources(&config);
        let sources: Vec<_> = sources
            .iter()
            .map(|(index, source)| (*index, source.as_fd()))
            .collect();
        let bundle = Bundle {
            container: &container,
            config: config.as_bytes(),
            root: root.as_fd(),
            sources: &sources,
            ended: None,
            judged: true,
        };
        let measured = engine.measure(&bundle, &|_| Ok(None));
        if let Ok(Some(evidence)) = &measured {
            let image = evidence.measurement.image.config;
            let place = self.path(&format!("image/overlay2/imagedb/content/sha256/{}", image.hex()));
            assert_eq!(digest(&fs::read(place).expect("it was read")), image.to_string());
            assert_eq!(Some(evidence.measurement.image.chain.to_string()), chain);
            let listed = fs::read_to_string(self.path(&format!("image/overlay2/layerdb/mounts/{ID}/parent")));
            assert_eq!(
                listed.expect("it was read").trim(),
                evidence.measurement.image.chain.to_string()
            );
            drop(engine.root_changes(&evidence.measurement));
        }
        assert!(engine.knows(&container));
        for text in ["x", ID, "5", ""] {
            drop(engine.find(text));
        }
        drop((engine.first_process(&container), engine.fingerprint(&container)));
        Some(measured)
    }
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    fs::create_dir_all(path.parent().expect("it lies somewhere"))?;
    fs::write(path, text)
}

fn digest(bytes: &[u8]) -> String {
    let digits: String = Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{digits}")
}

fn hex(digest: &str) -> &str {
    digest.strip_prefix("sha256:").unwrap_or(digest)
}

fn diff_ids(image: &str) -> Vec<String> {
    let image: Value = serde_json::from_str(image).unwrap_or_default();
    let ids = image["rootfs"]["diff_ids"].as_array().into_iter().flatten();
    ids.map(|id| id.as_str().unwrap_or_default().to_owned()).collect()
}

/// Of at most eight layers; none where a diff id is none.
fn chains(image: &str) -> Vec<String> {
    let mut chains: Vec<String> = Vec::new();
    for id in diff_ids(image).into_iter().take(8) {
        let is_digest = hex(&id).len() == 64 && hex(&id).bytes().all(|byte| byte.is_ascii_hexdigit());
        if !id.starts_with("sha256:") || !is_digest {
            return Vec::new();
        }
        let chain = chains
            .last()
            .map_or(id.clone(), |below| digest(format!("{below} {id}").as_bytes()));
        chains.push(chain);
    }
    chains
}

fn sources(config: &str) -> Vec<(usize, OwnedFd)> {
    let config: Value = serde_json::from_str(config).unwrap_or_default();
    let mounts = config["mounts"].as_array().into_iter().flatten().enumerate();
    let paths = mounts.filter_map(|(index, mount)| Some((index, mount["source"].as_str()?.to_owned())));
    paths
        .filter(|(_, path)| path.starts_with("/tmp/"))
        .take(8)
        .filter_map(|(index, path)| Some((index, try_open(Path::new(&path))?)))
        .collect()
}

fn try_open(path: &Path) -> Option<OwnedFd> {
    rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()
}

fn open(path: &Path) -> OwnedFd {
    try_open(path).expect("it is there")
}
