//! `cofferdam volume`: persistent data with an owner.

use crate::{
    age, confirm,
    context::Context,
    layout,
    report::Report,
    verb::{attachments, grant},
};
use clap::{
    Args, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use cofferdam_model::{
    Access, ByteSize, Maker, Result, TenantName, VolumeName,
    api::{NewVolume, VolumeDetail},
};

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
    Rm(Remove),
}

/// Make a volume
///
/// Nobody may open it until there is a grant. It gets its owner and its first content from the first
/// container that opens it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cofferdam volume create payments.pgdata --size 10G\n  \
    cofferdam volume create uploads --access shared")]
pub(crate) struct Create {
    /// The volume, as tenant.name
    volume: VolumeName,
    /// The size to record, such as 512M or 10G. A plain volume does not enforce it
    #[arg(long)]
    size: Option<ByteSize>,
    /// Whether one container may hold it at a time, or any number
    #[arg(long, default_value = "exclusive", value_parser = access_parser())]
    access: Access,
}

/// Remove a volume and destroy all data in it
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
            size: self.size,
            access: self.access,
        };
        let made: VolumeDetail = context.daemon.post("/v1/volumes", &wanted)?;
        let name = &made.volume.name;
        context.answer(&made, || match before {
            Some(_) => Report::default().line(format_args!("{name} exists already, unchanged")),
            None => Report::default()
                .line(format_args!("{name} created"))
                .note(format_args!(
                    "let an app open it with: cofferdam grant {name} APP"
                )),
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
            let header = ["VOLUME", "SIZE", "ACCESS", "OWNER", "APPS", "HELD BY", "CREATED"];
            Report::default().block(layout::table(header, rows, context.bold))
        }
    })
}

fn row(detail: &VolumeDetail, context: &Context) -> [String; 7] {
    let volume = &detail.volume;
    let held_by = match detail.attachments.as_slice() {
        [] => "-".to_owned(),
        [only] => only.container.short().to_owned(),
        [first, others @ ..] => format!("{} and {} more", first.container.short(), others.len()),
    };
    [
        volume.name.to_string(),
        volume.size.map_or("-".to_owned(), |size| size.to_string()),
        volume.access.to_string(),
        volume.owner.map_or("-".to_owned(), |owner| owner.to_string()),
        detail.grants.len().to_string(),
        held_by,
        age::relative(volume.created, context.now),
    ]
}

fn show(name: &VolumeName, context: &Context) -> Result<Report> {
    let detail: VolumeDetail = context.daemon.get(&path(name))?;
    context.answer(&detail, || {
        let report = Report::default().block(facts(&detail, context)).line("");
        let report = match detail.grants.as_slice() {
            [] => report.line("no app may open it"),
            grants => report.block(grant::table(grants, context)),
        };
        let report = report.line("");
        match detail.attachments.as_slice() {
            [] => report.line("no container holds it"),
            held => report.block(attachments::table(held, context)),
        }
    })
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
        (
            "size",
            volume
                .size
                .map_or("none given".to_owned(), |size| size.to_string()),
        ),
        ("access", volume.access.to_string()),
        ("owner", owner),
        ("opened", opened),
        ("made by", made_by.to_owned()),
        ("created", age::full(volume.created, context.now)),
    ])
}
