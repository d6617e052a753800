//! Man pages and completions of `cofferdam`, from the definitions that its parser uses, where man and each
//! shell look for them.

use e2e::{Outcome, failure::During};
use std::{fs, path::Path};

/// Each shell's file, as it is generated, and where below `share` the shell looks for it.
const COMPLETIONS: [(&str, &str); 3] = [
    ("cofferdam.bash", "bash-completion/completions/cofferdam"),
    ("_cofferdam", "zsh/site-functions/_cofferdam"),
    ("cofferdam.fish", "fish/vendor_completions.d/cofferdam.fish"),
];

/// Writes them below a `share` directory.
pub(crate) fn write(share: &Path) -> Outcome {
    let pages = share.join("man/man1");
    cofferdam_cli::write_man_pages(&pages)?;
    println!("{}", pages.display());
    let generated = share.join("cofferdam-completions");
    cofferdam_cli::write_completions(&generated)?;
    for (name, place) in COMPLETIONS {
        put(&generated.join(name), &share.join(place))?;
    }
    fs::remove_dir(&generated).during(generated.display())
}

fn put(from: &Path, to: &Path) -> Outcome {
    let directory = to.parent().during("a directory")?;
    fs::create_dir_all(directory).during(directory.display())?;
    fs::rename(from, to).during(to.display())?;
    println!("{}", to.display());
    Ok(())
}
