//! `cofferdam tenant`: the owners of applications and volumes.

use crate::{age, context::Context, layout, report::Report};
use clap::Subcommand;
use cofferdam_model::{Result, TenantName, api};

/// Make, list and remove tenants, the owners of applications and volumes
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  cofferdam tenant create payments\n  cofferdam tenant ls")]
pub(crate) enum Tenant {
    /// Make a tenant
    #[command(after_help = "Examples:\n  cofferdam tenant create payments")]
    Create {
        /// 1 to 63 of a-z, 0-9, - and _
        name: TenantName,
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
    /// Remove a tenant that owns nothing any more
    #[command(after_help = "Examples:\n  cofferdam tenant rm payments")]
    Rm {
        /// The tenant
        name: TenantName,
    },
}

impl Tenant {
    pub(crate) fn run(&self, context: &Context) -> Result<Report> {
        match self {
            Tenant::Create { name } => create(name, context),
            Tenant::Ls => list(context),
            Tenant::Show { name } => show(name, context),
            Tenant::Rm { name } => remove(name, context),
        }
    }
}

fn path(name: &TenantName) -> String {
    format!("/v1/tenants/{name}")
}

fn create(name: &TenantName, context: &Context) -> Result<Report> {
    let before: Option<api::Tenant> = context.before(&path(name))?;
    let tenant: api::Tenant = context
        .daemon
        .post("/v1/tenants", &api::NewTenant { name: name.clone() })?;
    context.answer(&tenant, || match before {
        Some(_) => Report::default().line(format_args!("{} exists already, unchanged", tenant.name)),
        None => Report::default().line(format_args!("{} created", tenant.name)),
    })
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
            ("created", age::full(tenant.created, context.now)),
        ]))
    })
}

fn remove(name: &TenantName, context: &Context) -> Result<Report> {
    let tenant: api::Tenant = context.daemon.delete(&path(name))?;
    context.answer(&tenant, || {
        Report::default().line(format_args!("{} removed", tenant.name))
    })
}
