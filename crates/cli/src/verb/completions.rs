//! `cofferdam completions`: what a shell needs to complete this command.

use crate::{generated, report::Report};
use clap::{
    Args, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use clap_complete::Shell;

/// Print the completions for a shell
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cofferdam completions bash > /etc/bash_completion.d/cofferdam\n  \
    cofferdam completions zsh > /usr/local/share/zsh/site-functions/_cofferdam\n  \
    cofferdam completions fish > /etc/fish/completions/cofferdam.fish")]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_parser = shell_parser())]
    shell: Shell,
}

fn shell_parser() -> impl TypedValueParser<Value = Shell> {
    PossibleValuesParser::new(generated::SHELLS.iter().filter_map(ValueEnum::to_possible_value))
        .try_map(|name| name.parse::<Shell>())
}

impl Completions {
    pub(crate) fn run(&self) -> Report {
        Report::generated(generated::completions(self.shell))
    }
}
