//! Names of the environment that lead a program to other code than the image's: no rule can allow them from outside.
//!
//! The list is of what loaders, shells and the usual interpreters read before anything of the program itself runs
//! (ld.so(8), bash(1), and the manuals of each). It is no promise that no program of an image reads others likewise: so every other
//! name needs to be allowed by its own name.

/// Names that begin so.
const PREFIXES: [&str; 5] = ["LD_", "DYLD_", "BASH_FUNC_", "GLIBC_", "MALLOC_"];

/// Names, whole.
const NAMES: [&str; 38] = [
    "BASHOPTS",
    "BASH_ENV",
    "CDPATH",
    "CLASSPATH",
    "ENV",
    "GCONV_PATH",
    "GEM_HOME",
    "GEM_PATH",
    "GETCONF_DIR",
    "HOSTALIASES",
    "IFS",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "LOCPATH",
    "LUA_CPATH",
    "LUA_INIT",
    "LUA_PATH",
    "NIS_PATH",
    "NLSPATH",
    "NODE_OPTIONS",
    "NODE_PATH",
    "PATH",
    "PERL5DB",
    "PERL5LIB",
    "PERL5OPT",
    "PERLLIB",
    "PHPRC",
    "PHP_INI_SCAN_DIR",
    "PROMPT_COMMAND",
    "PS4",
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "RES_OPTIONS",
    "RUBYLIB",
    "RUBYOPT",
    "SHELLOPTS",
    "_JAVA_OPTIONS",
];

/// Whether a name leads to other code, whatever the program.
pub fn leads_to_code(name: &str) -> bool {
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether it is a name at all, that a rule can allow.
pub fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_graphic() && byte != b'=';
    (1..=128).contains(&name.len()) && name.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_to_code_is_known_and_little_else() {
        for name in [
            "PATH",
            "LD_PRELOAD",
            "LD_LIBRARY_PATH",
            "BASH_FUNC_ls%%",
            "NODE_OPTIONS",
        ] {
            assert!(leads_to_code(name), "{name}");
        }
        for name in ["POSTGRES_PASSWORD", "PGDATA", "path", "OLD_PATH", "LDAP_HOST"] {
            assert!(!leads_to_code(name), "{name}");
        }
        assert!(is_name("A.b-c%%") && !is_name("") && !is_name("a=b") && !is_name("a b"));
    }
}
