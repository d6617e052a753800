//! The ticket that a launch brings: its text, in an annotation or the environment.

use crate::config::Config;
use cofferdam_model::{Problem, Result, TICKET_ANNOTATION, TICKET_VARIABLE};

/// The one ticket of a launch.
///
/// # Errors
/// `invalid` where it brings more than one: then nobody can say which is meant.
pub(crate) fn of(config: &Config) -> Result<Option<String>> {
    let variables = config.process.env.iter().flatten().filter_map(|entry| {
        let (name, value) = entry.split_once('=')?;
        (name == TICKET_VARIABLE).then_some(value)
    });
    let annotation = config
        .annotations
        .as_ref()
        .and_then(|annotations| annotations.get(TICKET_ANNOTATION));
    let mut texts: Vec<&str> = variables.chain(annotation.map(String::as_str)).collect();
    texts.dedup();
    match texts.as_slice() {
        [] => Ok(None),
        [text] => Ok(Some((*text).to_owned())),
        _ => Err(
            Problem::invalid("the container brings more than one ticket").remedy(format!(
                "hand over one, in {TICKET_VARIABLE} or in the annotation {TICKET_ANNOTATION}"
            )),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(env: &str, more: &str) -> Result<Option<String>> {
        let text = format!(
            r#"{{"process":{{"args":["a"],"env":{env},"cwd":"/","user":{{"uid":0,"gid":0}}}}{more}}}"#
        );
        of(&crate::config::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn a_launch_brings_one_ticket_or_none() {
        let annotation = r#","annotations":{"dev.cofferdam.ticket":"abc"}"#;
        assert_eq!(found("null", "").unwrap(), None);
        assert_eq!(
            found(r#"["A=b","COFFERDAM_TICKETS=x","COFFERDAM_TICKET"]"#, "").unwrap(),
            None
        );
        let here = Some("abc".to_owned());
        assert_eq!(found(r#"["COFFERDAM_TICKET=abc"]"#, "").unwrap(), here);
        assert_eq!(found("[]", annotation).unwrap(), here);
        assert_eq!(found(r#"["COFFERDAM_TICKET=abc"]"#, annotation).unwrap(), here);
        assert!(found(r#"["COFFERDAM_TICKET=ab"]"#, annotation).is_err());
        assert!(found(r#"["COFFERDAM_TICKET=ab","COFFERDAM_TICKET=cd"]"#, "").is_err());
    }
}
