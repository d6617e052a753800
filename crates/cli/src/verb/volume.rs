//! `cofferdam volume`: persistent data with an owner.

use crate::{
    age, confirm,
    context::Context,
    layout,
    report::Report,
    signing,
    verb::{attachments, grant},
};
use clap::{
    Args, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use cofferdam_model::{
    Access, ByteSize, Kind, Maker, Problem, Result, TenantName, VolumeName,
    api::{Adopt, DeedAct, NewVolume, VolumeDetail},
};
use std::path::{Path, PathBuf};

/// Make, list and remove volumes
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  \
    cofferdam volume create payments.pgdata --size 10G\n  \
    cofferdam volume show payments.pgdata")]
pub(crate) enum Volume {
    Create(Create),
    /// List the volumes
    #[command(
        after_help = "Examples:\n  cofferdam volume ls\n  cofferdam volume ls --tenant payments --json"
    )]
    Ls {
        /// Only this tenant's
        #[arg(long, value_name = "TENANT")]
        tenant: Option<TenantName>,
    },
    /// Show one volume, who may open it and who holds it
    #[command(after_help = "Examples:\n  cofferdam volume show payments.pgdata")]
    Show {
        /// The volume, as tenant.name
        volume: VolumeName,
    },
    /// Close a sealed volume
    ///
    /// Without --now only one that nobody holds. With it, the volume is taken from whoever has it open: the containers that hold
    /// it are killed, and no open file of it can be read any more.
    #[command(after_help = "Examples:\n  cofferdam volume seal payments.pgdata --now")]
    Seal {
        /// The volume, as tenant.name
        volume: VolumeName,
        /// Whoever has it open
        #[arg(long)]
        now: bool,
    },
    /// Let another host, or a recovery key, unwrap a volume's key
    ///
    /// The volume itself moves as a directory: see `cofferdam volume adopt`. A host's recipient is in `cofferdam status` there.
    #[command(after_help = "Examples:\n  cofferdam volume share payments.pgdata --recipient age1…")]
    Share {
        /// The volume, as tenant.name
        volume: VolumeName,
        /// Whom: age1…, of a host, a recovery key or an age plugin; or pkcs11:token=TOKEN;object=KEY
        #[arg(long, value_name = "RECIPIENT")]
        recipient: String,
    },
    /// Wrap a volume's key anew, without one of its recipients
    ///
    /// What that one has unwrapped or copied already, it keeps.
    #[command(after_help = "Examples:\n  cofferdam volume unshare payments.pgdata --recipient age1…")]
    Unshare {
        /// The volume, as tenant.name
        volume: VolumeName,
        /// Whom
        #[arg(long, value_name = "RECIPIENT")]
        recipient: String,
    },
    /// Take in a sealed volume that comes from another host, with its grants
    ///
    /// The directory (deed.json and store) is moved to this host's volumes. This host can open it if its key was wrapped for it.
    #[command(
        after_help = "Examples:\n  cofferdam volume adopt /var/lib/cofferdam/incoming/00112233445566778899aabbccddeeff"
    )]
    Adopt {
        /// The volume's directory, on the filesystem of /var/lib/cofferdam
        path: PathBuf,
    },
    AcceptRollback(AcceptRollback),
    #[command(visible_alias = "destroy")]
    Rm(Remove),
}

/// Make a volume
///
/// It is sealed, unless --plain is given: a disk of its own that lies encrypted on the host, and is opened only for a
/// container that may have it. Nobody may open it until there is a grant. It gets its owner and its first content from
/// the first container that opens it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cofferdam volume create payments.pgdata --size 10G\n  \
    cofferdam volume create uploads --access shared\n  \
    cofferdam volume create payments.pgdata --sign-with payments.key\n  \
    cofferdam volume create scratch --ephemeral --size 1G\n  \
    cofferdam volume create static --plain")]
pub(crate) struct Create {
    /// The volume, as tenant.name
    volume: VolumeName,
    /// Its size, such as 512M or 10G, which it can never exceed; a plain volume records it only [default: 10G]
    #[arg(long)]
    size: Option<ByteSize>,
    /// A directory of the host's instead, which root can read
    #[arg(long)]
    plain: bool,
    /// Begin empty, and be gone with the last container that holds it: its key is nowhere but in memory
    #[arg(long, conflicts_with_all = ["plain", "sign_with"])]
    ephemeral: bool,
    /// Whether one container may hold it at a time, or any number
    #[arg(long, default_value = "exclusive", value_parser = access_parser())]
    access: Access,
    /// The tenant's private key (PEM), where the tenant keeps its own
    #[arg(long, value_name = "FILE")]
    sign_with: Option<PathBuf>,
    /// Sign without being shown first whom its key is wrapped for
    #[arg(long, short, requires = "sign_with")]
    yes: bool,
}

/// Take an older copy of a volume that was put back on purpose
///
/// A store or a deed that is older than what this host has seen is refused, for whoever put it back may have done so to undo
/// something. This is the operator's word that it was meant. What was written since is lost, and who opens the volume
/// from now on works with what there is.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cofferdam volume accept-rollback payments.pgdata\n  \
    cofferdam volume accept-rollback payments.pgdata --yes")]
pub(crate) struct AcceptRollback {
    /// The volume, as tenant.name
    volume: VolumeName,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// Remove a volume and destroy all data in it: its keys first, then what they opened
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cofferdam volume rm payments.pgdata\n  \
    cofferdam volume rm payments.pgdata --yes")]
pub(crate) struct Remove {
    /// The volume, as tenant.name
    volume: VolumeName,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

fn access_parser() -> impl TypedValueParser<Value = Access> {
    PossibleValuesParser::new([Access::Exclusive.word(), Access::Shared.word()])
        .try_map(|word| word.parse::<Access>())
}

impl Volume {
    pub(crate) fn run(&self, context: &Context) -> Result<Report> {
        match self {
            Volume::Create(create) => create.run(context),
            Volume::Ls { tenant } => list(tenant.as_ref(), context),
            Volume::Show { volume } => show(volume, context),
            Volume::Seal { volume, now } => seal(volume, *now, context),
            Volume::Share { volume, recipient } => share(volume, recipient, context),
            Volume::Unshare { volume, recipient } => unshare(volume, recipient, context),
            Volume::Adopt { path } => adopt(path, context),
            Volume::AcceptRollback(accept) => accept.run(context),
            Volume::Rm(remove) => remove.run(context),
        }
    }
}

/// The volume's place in the API.
pub(crate) fn path(name: &VolumeName) -> String {
    format!("/v1/volumes/{name}")
}

impl Create {
    fn run(&self, context: &Context) -> Result<Report> {
        let before: Option<VolumeDetail> = context.before(&path(&self.volume))?;
        let wanted = NewVolume {
            name: self.volume.clone(),
            kind: match (self.plain, self.ephemeral) {
                (true, _) => Kind::Plain,
                (_, true) => Kind::Ephemeral,
                _ => Kind::Sealed,
            },
            size: self.size,
            access: self.access,
        };
        let (made, signed): (VolumeDetail, _) = match &self.sign_with {
            Some(file) => {
                let deed = signing::act(context, file, self.yes, DeedAct::Create(wanted))?;
                (context.daemon.get(&path(&self.volume))?, Some(deed))
            }
            None => (context.daemon.post("/v1/volumes", &wanted)?, None),
        };
        let name = &made.volume.name;
        context.answer(&made, || {
            let report = match before {
                Some(_) => Report::default().line(format_args!("{name} exists already, unchanged")),
                None => Report::default()
                    .line(format_args!("{name} created"))
                    .note(format_args!(
                        "let an app open it with: cofferdam grant {name} APP"
                    )),
            };
            match &signed {
                Some(deed) => signing::told(report, deed.as_ref()),
                None => report,
            }
        })
    }
}

impl AcceptRollback {
    fn run(&self, context: &Context) -> Result<Report> {
        let name = &self.volume;
        if !self.yes {
            let question = format!("Take {name} as it lies there, and give up what was written since?");
            confirm::ask(
                &question,
                &format!("cofferdam volume accept-rollback {name} --yes"),
            )?;
        }
        let place = format!("{}/accept-rollback", path(name));
        let accepted: VolumeDetail = context.daemon.post(&place, &())?;
        context.answer(&accepted, || {
            Report::default().line(format_args!("{name} is taken as it is"))
        })
    }
}

impl Remove {
    fn run(&self, context: &Context) -> Result<Report> {
        let name = &self.volume;
        if !self.yes {
            let question = format!("Remove {name} and destroy all data in it?");
            confirm::ask(&question, &format!("cofferdam volume rm {name} --yes"))?;
        }
        let removed: VolumeDetail = context.daemon.delete(&path(name))?;
        context.answer(&removed, || {
            Report::default().line(format_args!(
                "{} removed, its data destroyed",
                removed.volume.name
            ))
        })
    }
}

fn seal(name: &VolumeName, now: bool, context: &Context) -> Result<Report> {
    let place = format!("{}/seal{}", path(name), if now { "?now=true" } else { "" });
    let sealed: VolumeDetail = context.daemon.post(&place, &())?;
    context.answer(&sealed, || {
        Report::default().line(format_args!("{name} is sealed"))
    })
}

fn share(name: &VolumeName, recipient: &str, context: &Context) -> Result<Report> {
    let place = format!("{}/recipients/{}", path(name), plain(recipient)?);
    let shared: VolumeDetail = context.daemon.put(&place, &())?;
    context.answer(&shared, || {
        Report::default().line(format_args!("the key of {name} is wrapped for {recipient}"))
    })
}

fn unshare(name: &VolumeName, recipient: &str, context: &Context) -> Result<Report> {
    let place = format!("{}/recipients/{}", path(name), plain(recipient)?);
    let left: VolumeDetail = context.daemon.delete(&place)?;
    context.answer(&left, || {
        Report::default()
            .line(format_args!(
                "the key of {name} is no longer wrapped for {recipient}"
            ))
            .note("a copy of the old deed can still be unwrapped there")
    })
}

/// A recipient's text, which needs no quoting in a URL's path.
fn plain(recipient: &str) -> Result<&str> {
    if recipient.to_ascii_uppercase().starts_with("AGE-") {
        return Err(Problem::invalid("that is a secret key, and no recipient")
            .remedy("give the public one that belongs to it, age1…; age-keygen -y FILE prints it"));
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:;=".contains(&byte);
    if !recipient.is_empty() && recipient.bytes().all(fits) {
        return Ok(recipient);
    }
    Err(Problem::invalid("not a recipient").remedy("write age1…, or pkcs11:token=TOKEN;object=KEY"))
}

fn adopt(path: &Path, context: &Context) -> Result<Report> {
    let path = std::path::absolute(path)
        .map_err(|error| Problem::invalid(format!("{} is no path: {error}", path.display())))?;
    let adopted: VolumeDetail = context.daemon.post("/v1/adoptions", &Adopt { path })?;
    context.answer(&adopted, || {
        Report::default().line(format_args!(
            "{} is on this host now, with {} grants",
            adopted.volume.name,
            adopted.grants.len()
        ))
    })
}

fn list(tenant: Option<&TenantName>, context: &Context) -> Result<Report> {
    let mut volumes: Vec<VolumeDetail> = context.daemon.get("/v1/volumes")?;
    volumes.retain(|detail| tenant.is_none_or(|tenant| detail.volume.name.tenant() == tenant));
    context.answer(&volumes, || match (volumes.as_slice(), tenant) {
        ([], None) => Report::default().note("no volumes yet; make one with: cofferdam volume create NAME"),
        ([], Some(tenant)) => Report::default().note(format_args!(
            "{tenant} has no volumes; make one with: cofferdam volume create {tenant}.NAME"
        )),
        (volumes, _) => {
            let rows = volumes.iter().map(|detail| row(detail, context)).collect();
            let header = [
                "VOLUME", "KIND", "SIZE", "SPACE", "ACCESS", "OWNER", "APPS", "HELD BY", "CREATED",
            ];
            Report::default().block(layout::table(header, rows, context.bold))
        }
    })
}

fn row(detail: &VolumeDetail, context: &Context) -> [String; 9] {
    let volume = &detail.volume;
    let held_by = match detail.attachments.as_slice() {
        [] => "-".to_owned(),
        [only] => only.container.short().to_owned(),
        [first, others @ ..] => format!("{} and {} more", first.container.short(), others.len()),
    };
    [
        volume.name.to_string(),
        volume.kind().word().to_owned(),
        volume.size.map_or("-".to_owned(), |size| size.to_string()),
        detail.space.map_or("-".to_owned(), about),
        volume.access.to_string(),
        volume.owner.map_or("-".to_owned(), |owner| owner.to_string()),
        detail.grants.len().to_string(),
        held_by,
        age::relative(volume.created, context.now),
    ]
}

/// A size that was measured, in the largest unit of which there is at least one.
fn about(size: ByteSize) -> String {
    let bytes = size.get();
    [('T', 40), ('G', 30), ('M', 20), ('K', 10)]
        .into_iter()
        .find(|(_, shift)| bytes >> shift > 0)
        .map_or_else(
            || format!("{bytes}"),
            |(unit, shift)| {
                let tenths = ((bytes >> (shift - 10)) * 10) >> 10;
                format!("{}.{}{unit}", tenths / 10, tenths % 10)
            },
        )
}

fn show(name: &VolumeName, context: &Context) -> Result<Report> {
    let detail: VolumeDetail = context.daemon.get(&path(name))?;
    context.answer(&detail, || {
        let report = Report::default().block(facts(&detail, context)).line("");
        let report = match detail.grants.as_slice() {
            [] => report.line("no app may open it"),
            grants => report.block(grant::table(grants, context)),
        };
        let report = detail
            .recipients
            .iter()
            .fold(report.line(""), |report, recipient| {
                report.line(format_args!("its key is wrapped for {recipient}"))
            });
        match detail.attachments.as_slice() {
            [] => report.line("no container holds it"),
            held => report.block(attachments::table(held, context)),
        }
    })
}

fn kind(volume: &cofferdam_model::Volume) -> String {
    match &volume.sealed {
        Some(sealed) => format!("sealed, by version {} of its deed", sealed.deed),
        None if volume.ephemeral => "ephemeral: gone with the last container that holds it".to_owned(),
        None => "plain: root on this host can read it".to_owned(),
    }
}

fn facts(detail: &VolumeDetail, context: &Context) -> layout::Block {
    let volume = &detail.volume;
    let made_by = match volume.maker {
        Maker::Admin => "cofferdam",
        Maker::Docker => "docker",
    };
    let owner = volume.owner.map_or_else(
        || "that of the first container that opens it".to_owned(),
        |owner| owner.to_string(),
    );
    let opened = match volume.epoch.0 {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        times => format!("{times} times"),
    };
    layout::facts(&[
        ("volume", volume.name.to_string()),
        ("id", volume.id.to_string()),
        ("kind", kind(volume)),
        (
            "size",
            volume
                .size
                .map_or("none given".to_owned(), |size| size.to_string()),
        ),
        ("used", detail.used.map_or("not looked at yet".to_owned(), about)),
        ("space", detail.space.map_or("not measured".to_owned(), about)),
        ("access", volume.access.to_string()),
        ("owner", owner),
        ("opened", opened),
        ("made by", made_by.to_owned()),
        ("created", age::full(volume.created, context.now)),
    ])
}
