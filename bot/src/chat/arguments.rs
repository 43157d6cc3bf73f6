//! Owns the arguments of a verb one by one, for platforms that ask for each of them by itself. They are read from the same
//! list as the help, so a new verb is there without a line here.
//! Refuses to understand what is filled in: it only puts it into the order that the grammar reads.

use tidegate_rollout::Refusal;
use tidegate_rollout::command::Usage;
use tidegate_rollout::command::grammar::{Word, split};
use tidegate_rollout::refusal::Code;

/// One argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Argument {
    /// What it is called.
    pub(super) name: &'static str,
    /// Whether there is no command without it.
    pub(super) required: bool,
    /// How it is said.
    pub(super) kind: Kind,
}

/// How an argument is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The rollout, by its id or the name of its plan.
    Rollout,
    /// One word: a name, a number.
    Bare,
    /// Free text.
    Text,
    /// `key:value`, with its name as the key.
    Keyed,
    /// As many of `key:value` as one likes.
    Pairs,
    /// One of these.
    Choice(Vec<&'static str>),
}

/// The arguments of a verb, in the order of its usage.
pub(super) fn of(usage: &Usage) -> Vec<Argument> {
    pieces(usage.arguments).into_iter().map(argument).collect()
}

/// `[rollout] "reason" [for:<duration>]`: three pieces; what is bracketed or quoted may have spaces in it.
fn pieces(arguments: &'static str) -> Vec<&'static str> {
    let mut found = Vec::new();
    let mut rest = arguments.trim_start();
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '[' => rest.find(']').map(|at| at + 1),
            '"' => rest[1..].find('"').map(|at| at + 2),
            _ => rest.find(char::is_whitespace),
        };
        let (piece, more) = rest.split_at(end.unwrap_or(rest.len()));
        found.push(piece);
        rest = more.trim_start();
    }
    found
}

fn argument(piece: &'static str) -> Argument {
    let inside = piece.strip_prefix('[').and_then(|piece| piece.strip_suffix(']'));
    let required = inside.is_none();
    let said = inside.unwrap_or(piece);
    let bare = |text: &'static str| text.trim_matches(['<', '>', '"']);
    let (name, kind) = if said.ends_with('…') {
        ("inputs", Kind::Pairs)
    } else if said.contains('|') {
        ("answer", Kind::Choice(said.split('|').collect()))
    } else if let Some((key, _)) = said.split_once(':') {
        (key, Kind::Keyed)
    } else if said.starts_with('"') {
        (bare(said), Kind::Text)
    } else if bare(said) == "rollout" {
        ("rollout", Kind::Rollout)
    } else {
        (bare(said), Kind::Bare)
    };
    Argument { name, required, kind }
}

/// A verb and what was filled in, as the grammar reads it.
///
/// # Errors
/// The [`Refusal`] of an argument that the verb does not have, or that cannot be split.
pub(super) fn words(verb: &str, usage: Option<&Usage>, given: &[(String, String)]) -> Result<Vec<Word>, Refusal> {
    let known = usage.map(of).unwrap_or_default();
    if let Some((strange, _)) = given.iter().find(|(name, _)| known.iter().all(|it| it.name != *name)) {
        let shown: String = strange.chars().take(40).collect();
        return Err(Refusal::new(
            Code::R104,
            format!("`{verb}` takes no `{shown}`. Nothing was done."),
            "The commands here are older than this server: whoever runs it registers them again.",
        ));
    }
    let mut words = vec![Word::Bare(verb.to_owned())];
    for argument in known {
        let Some((_, value)) = given.iter().find(|(name, _)| name == argument.name) else {
            continue;
        };
        match argument.kind {
            Kind::Rollout | Kind::Keyed => words.push(Word::Option(argument.name.to_owned(), value.clone())),
            Kind::Bare | Kind::Choice(_) => words.push(Word::Bare(value.trim().to_owned())),
            Kind::Text => words.push(Word::Quoted(value.clone())),
            Kind::Pairs => words.extend(split(value)?),
        }
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use tidegate_rollout::command::USAGES;

    use super::*;

    fn usage(verb: &str) -> &'static Usage {
        USAGES.iter().find(|usage| usage.verb == verb).unwrap()
    }

    fn shape(verb: &str) -> Vec<(&'static str, bool, Kind)> {
        let all = of(usage(verb)).into_iter();
        all.map(|it| (it.name, it.required, it.kind)).collect()
    }

    #[test]
    fn arguments_are_read_from_the_help() {
        assert_eq!(
            shape("hold"),
            [
                ("rollout", false, Kind::Rollout),
                ("reason", true, Kind::Text),
                ("for", false, Kind::Keyed)
            ]
        );
        assert_eq!(
            shape("start"),
            [
                ("plan", true, Kind::Bare),
                ("version", false, Kind::Keyed),
                ("inputs", false, Kind::Pairs)
            ]
        );
        assert_eq!(
            shape("decide"),
            [
                ("rollout", false, Kind::Rollout),
                ("answer", true, Kind::Choice(vec!["continue", "rollback"])),
                ("number", false, Kind::Bare)
            ]
        );
        assert_eq!(shape("help"), []);
    }

    #[test]
    fn nothing_that_is_filled_in_needs_quotes() {
        let given = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
        };
        let hold = given(&[("reason", "she said \"no\" for:ever"), ("rollout", "auth-17")]);
        assert_eq!(
            words("hold", Some(usage("hold")), &hold).unwrap(),
            [
                Word::Bare("hold".to_owned()),
                Word::Option("rollout".to_owned(), "auth-17".to_owned()),
                Word::Quoted("she said \"no\" for:ever".to_owned())
            ]
        );
        let start = given(&[("plan", "auth"), ("inputs", "colour:red size:\"very big\"")]);
        let words_of_start = words("start", Some(usage("start")), &start).unwrap();
        assert_eq!(
            words_of_start.last(),
            Some(&Word::Option("size".to_owned(), "very big".to_owned()))
        );
        let strange = words("hold", Some(usage("hold")), &given(&[("colour", "red")]));
        assert_eq!(strange.unwrap_err().code, Code::R104);
    }
}
