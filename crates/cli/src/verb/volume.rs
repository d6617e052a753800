//! `cofferdam volume`: persistent data with an owner.

mod changing;
mod recipients;
mod showing;

use crate::{confirm, context::Context, report::Report, signing};
use clap::{
    Args, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use cofferdam_model::{
    Access, ByteSize, Kind, Problem, Result, TenantName, VolumeName,
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
    Share(recipients::Share),
    Unshare(recipients::Unshare),
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
    Grow(changing::Grow),
    Rotate(changing::Rotate),
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
            Volume::Ls { tenant } => showing::list(tenant.as_ref(), context),
            Volume::Show { volume } => showing::show(volume, context),
            Volume::Seal { volume, now } => seal(volume, *now, context),
            Volume::Share(share) => share.run(context),
            Volume::Unshare(unshare) => unshare.run(context),
            Volume::Adopt { path } => adopt(path, context),
            Volume::Grow(grow) => grow.run(context),
            Volume::Rotate(rotate) => rotate.run(context),
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
                let signed = signing::act(context, file, self.yes, DeedAct::Create(wanted))?;
                (context.daemon.get(&path(&self.volume))?, Some(signed))
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
            signing::told(report, signed.as_ref())
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
