//! `cofferdam tenant`: the owners of applications and volumes.

use crate::{age, context::Context, layout, report::Report};
use clap::{Args, Subcommand};
use cofferdam_deed::pem;
use cofferdam_model::{Problem, Result, TenantName, api};
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

/// Make, list and remove tenants, the owners of applications and volumes
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  cofferdam tenant create payments\n  cofferdam tenant ls")]
pub(crate) enum Tenant {
    /// Make a tenant
    ///
    /// What belongs to a tenant is signed with its key. The host makes one and keeps it, unless --key names the public part of one
    /// that is kept elsewhere: then volumes, grants, revocations and tickets are signed there, with --sign-with.
    #[command(
        after_help = "Examples:\n  cofferdam tenant create payments\n  cofferdam tenant create payments --key payments.pub"
    )]
    Create {
        /// 1 to 63 of a-z, 0-9, - and _
        name: TenantName,
        /// The public key (PEM, Ed25519) that verifies what the tenant signs elsewhere; see openssl genpkey and openssl pkey -pubout
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
    },
    /// List the tenants
    #[command(after_help = "Examples:\n  cofferdam tenant ls\n  cofferdam tenant ls --json")]
    Ls,
    /// Show one tenant
    #[command(after_help = "Examples:\n  cofferdam tenant show payments")]
    Show {
        /// The tenant
        name: TenantName,
    },
    #[command(subcommand)]
    Member(Member),
    /// Remove a tenant that owns nothing any more
    #[command(after_help = "Examples:\n  cofferdam tenant rm payments")]
    Rm {
        /// The tenant
        name: TenantName,
    },
}

/// Say which users of this host may act for a tenant
///
/// A member makes, lists, grants and removes what belongs to the tenant, and sees nothing of other tenants. He must
/// also be in the group cofferdam, to reach the daemon. Root is the operator, and needs to be nobody's member.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  \
    cofferdam tenant member add payments --user alice\n  \
    cofferdam tenant member rm payments --user alice")]
pub(crate) enum Member {
    /// Let a user act for a tenant
    #[command(after_help = "Examples:\n  cofferdam tenant member add payments --user alice")]
    Add(Membership),
    /// Let a user act for a tenant no longer
    #[command(after_help = "Examples:\n  cofferdam tenant member rm payments --user alice")]
    Rm(Membership),
}

/// Who, and for whom.
#[derive(Debug, Args)]
pub(crate) struct Membership {
    /// The tenant
    name: TenantName,
    /// A name out of this host's /etc/passwd, or a user's number
    #[arg(long, value_name = "USER", value_parser = parse_user)]
    user: String,
}

/// The names that useradd(8) takes, and numbers: nothing that means anything in an address.
fn parse_user(text: &str) -> Result<String> {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'@' | b'$' | b'+');
    let odd = matches!(text, "" | "." | "..") || text.len() > 64 || !text.bytes().all(plain);
    if odd {
        let shown: String = text.chars().take(40).collect();
        return Err(Problem::invalid(format!("{shown:?} is not a user"))
            .remedy("write a name out of /etc/passwd, or a number"));
    }
    Ok(text.to_owned())
}

impl Member {
    fn run(&self, context: &Context) -> Result<Report> {
        let place = |who: &Membership| format!("{}/members/{}", path(&who.name), who.user);
        let (tenant, who, may): (api::Tenant, _, _) = match self {
            Member::Add(who) => (context.daemon.put(&place(who), &())?, who, "may act for"),
            Member::Rm(who) => (context.daemon.delete(&place(who))?, who, "may act no longer for"),
        };
        context.answer(&tenant, || {
            let report = Report::default().line(format_args!("{} {may} {}", who.user, who.name));
            match self {
                Member::Add(_) => {
                    report.note("to reach the daemon, a member must also be in the group cofferdam")
                }
                Member::Rm(_) => report,
            }
        })
    }
}

impl Tenant {
    pub(crate) fn run(&self, context: &Context) -> Result<Report> {
        match self {
            Tenant::Create { name, key } => create(name, key.as_deref(), context),
            Tenant::Ls => list(context),
            Tenant::Show { name } => show(name, context),
            Tenant::Member(member) => member.run(context),
            Tenant::Rm { name } => remove(name, context),
        }
    }
}

/// As much of a public key's file as is looked at, in bytes.
const PEM_MAX: u64 = 8 * 1024;

fn path(name: &TenantName) -> String {
    format!("/v1/tenants/{name}")
}

fn create(name: &TenantName, key: Option<&Path>, context: &Context) -> Result<Report> {
    let before: Option<api::Tenant> = context.before(&path(name))?;
    let new = api::NewTenant {
        name: name.clone(),
        key: key.map(public_key).transpose()?,
    };
    let tenant: api::Tenant = context.daemon.post("/v1/tenants", &new)?;
    context.answer(&tenant, || match before {
        Some(_) => Report::default().line(format_args!("{} exists already, unchanged", tenant.name)),
        None => Report::default().line(format_args!("{} created", tenant.name)),
    })
}

fn public_key(file: &Path) -> Result<String> {
    let opened = File::open(file).map_err(|error| {
        Problem::missing(format!("cannot open the key {}: {error}", file.display()))
            .remedy("make one with: openssl pkey -in payments.key -pubout -out payments.pub")
    })?;
    let mut text = Vec::new();
    opened
        .take(PEM_MAX)
        .read_to_end(&mut text)
        .map_err(|error| Problem::unavailable(format!("cannot read the key {}: {error}", file.display())))?;
    let key = pem::parse_public(&text).map_err(|problem| problem.context(file.display()))?;
    Ok(key.to_string())
}

fn list(context: &Context) -> Result<Report> {
    let tenants: Vec<api::Tenant> = context.daemon.get("/v1/tenants")?;
    context.answer(&tenants, || {
        if tenants.is_empty() {
            return Report::default().note("no tenants yet; make one with: cofferdam tenant create NAME");
        }
        let rows = tenants.iter().map(|tenant| {
            [
                tenant.name.to_string(),
                tenant.apps.to_string(),
                tenant.volumes.to_string(),
                age::relative(tenant.created, context.now),
            ]
        });
        let header = ["TENANT", "APPS", "VOLUMES", "CREATED"];
        Report::default().block(layout::table(header, rows.collect(), context.bold))
    })
}

fn show(name: &TenantName, context: &Context) -> Result<Report> {
    let tenant: api::Tenant = context.daemon.get(&path(name))?;
    context.answer(&tenant, || {
        Report::default().block(layout::facts(&[
            ("tenant", tenant.name.to_string()),
            ("apps", tenant.apps.to_string()),
            ("volumes", tenant.volumes.to_string()),
            ("members", members(&tenant)),
            ("key", signing_key(&tenant)),
            ("created", age::full(tenant.created, context.now)),
        ]))
    })
}

fn signing_key(tenant: &api::Tenant) -> String {
    match &tenant.key {
        None => "none yet; the host makes one when it is needed".to_owned(),
        Some(key) if tenant.key_kept => format!("{key}, kept by this host"),
        Some(key) => format!("{key}, kept elsewhere"),
    }
}

fn members(tenant: &api::Tenant) -> String {
    let shown = |member: &api::Member| match member.user == member.uid.to_string() {
        true => member.user.clone(),
        false => format!("{} ({})", member.user, member.uid),
    };
    match tenant.members.as_slice() {
        [] => "none".to_owned(),
        members => members.iter().map(shown).collect::<Vec<_>>().join(", "),
    }
}

fn remove(name: &TenantName, context: &Context) -> Result<Report> {
    let tenant: api::Tenant = context.daemon.delete(&path(name))?;
    context.answer(&tenant, || {
        Report::default().line(format_args!("{} removed", tenant.name))
    })
}
