//! Tickets: how they reach the daemon, and what was found about the one that a launch brought.

use crate::AppName;
use serde::{Deserialize, Serialize};

/// The environment variable in which a launch brings its ticket. The runtime takes it away before the container starts.
pub const TICKET_VARIABLE: &str = "COFFERDAM_TICKET";

/// The annotation (OCI runtime-spec) in which a launch brings its ticket. The runtime takes it away, too.
pub const TICKET_ANNOTATION: &str = "dev.cofferdam.ticket";

/// What a launch's ticket was found to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TicketFound {
    /// The app's tenant has signed that this launch is this app.
    Holds(AppName),
    /// It proves nothing; why not, as one sentence.
    Fails(String),
}
