//! Owns the helpers of templates: they format, nothing else.
//! Refuses missing variables: a helper is as strict as a plain `{{variable}}`.

use handlebars::{
    Context, Handlebars, Helper, HelperDef, HelperResult, Output, RenderContext, RenderError, RenderErrorReason,
    Renderable, ScopedJson, WriteOutput,
};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;
use tidegate_rollout::Period;
use tidegate_rollout::plan::zone_named;
use tidegate_rollout::weight::Share;

use super::bounded::Bounded;
use super::{LONGEST, mention};

type Format = fn(&Helper<'_>, &Context) -> Result<String, RenderError>;

/// Every helper, with how to write it and what it gives. The documentation is made from this list.
pub const HELPERS: &[(&str, &str, &str)] = &[
    ("duration", "{{duration facts.took}}", "a length of time: `1h30m`"),
    (
        "spoken",
        "{{spoken facts.took}}",
        "a length of time in words, no more exact than anybody needs: `1 hour 30 minutes`",
    ),
    (
        "span",
        "{{span facts.since at}}",
        "the time from one moment to another: `5m10s`",
    ),
    (
        "clock",
        "{{clock facts.since}}",
        "a moment in UTC: `21:45:00 UTC`, with the date unless it is the notice's day",
    ),
    (
        "local",
        "{{local facts.due facts.zone}}",
        "a moment on the clock of a time zone: `17:00 CET`, with the date unless it is the notice's day there",
    ),
    (
        "percent",
        "{{percent facts.read_back.observed}}",
        "an observed share: `24.8%`",
    ),
    (
        "count",
        "{{count about.phases \"phase\"}}",
        "a number with its noun: `1 phase`, `4 phases`",
    ),
    ("list", "{{list facts.by}}", "a list in words: `a, b and c`"),
    (
        "short",
        "{{short facts.why 60}}",
        "the beginning of a text, of at most so many characters; what is left out leaves `...`, which an SMS can carry",
    ),
    (
        "within",
        "{{#within 140}}…{{/within}}",
        "a line of at most so many characters, cut as `short` does; not in the frame of mails, where it would cut HTML",
    ),
    (
        "mention",
        "{{mention \"oncall\"}}",
        "the people in a role of the plan, or in each of a list of roles. They are called in Slack and in Discord, where the \
         configuration knows their accounts, and named everywhere else; a role with nobody in it is named itself",
    ),
    (
        "if",
        "{{#if facts.reason}}…{{else}}…{{/if}}",
        "one or the other; the variable must exist",
    ),
    (
        "unless",
        "{{#unless facts.automatic}}…{{/unless}}",
        "the other way round; the variable must exist",
    ),
];

pub(super) fn register(registry: &mut Handlebars<'static>) {
    let formats: [(&str, Format); 10] = [
        ("duration", duration),
        ("spoken", spoken),
        ("span", span),
        ("clock", clock),
        ("local", local),
        ("percent", percent),
        ("count", count),
        ("list", list),
        ("short", short),
        ("mention", mention),
    ];
    for (name, format) in formats {
        registry.register_helper(name, Box::new(Formats(format)));
    }
    registry.register_helper("if", Box::new(Choose { wanted: true }));
    registry.register_helper("unless", Box::new(Choose { wanted: false }));
    // It writes where its author cannot see, and a template has nothing to log.
    registry.unregister_helper("log");
}

/// What may be cut: of text alone, for markup would lose its end.
pub(super) fn register_for_text(registry: &mut Handlebars<'static>) {
    registry.register_helper("within", Box::new(Within));
}

/// `#within`: what stands inside, at most so many characters of it.
#[derive(Clone, Copy)]
struct Within;

impl HelperDef for Within {
    fn call<'reg: 'rc, 'rc>(
        &self,
        h: &Helper<'rc>,
        registry: &'reg Handlebars<'reg>,
        context: &'rc Context,
        rc: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let most: usize = read(h, 0, "a number, as a block")?;
        let inside = h.template().ok_or_else(|| wrong(h, "takes a number, as a block"))?;
        let mut line = Bounded::new(LONGEST);
        inside.render(registry, context, rc, &mut WriteOutput::new(&mut line))?;
        out.write(&cut(line.into_text(), most))?;
        Ok(())
    }
}

/// A value put into a form. What it gives is a value, too: the engine escapes it like any other.
#[derive(Clone, Copy)]
struct Formats(Format);

impl HelperDef for Formats {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        h: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        context: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        (self.0)(h, context).map(|text| ScopedJson::Derived(Value::String(text)))
    }
}

/// `#if` and `#unless`, strict: the engine's own take a variable that does not exist for false.
#[derive(Clone, Copy)]
struct Choose {
    wanted: bool,
}

impl HelperDef for Choose {
    fn call<'reg: 'rc, 'rc>(
        &self,
        h: &Helper<'rc>,
        registry: &'reg Handlebars<'reg>,
        context: &'rc Context,
        rc: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let wanted = truth(param(h, 0)?) == self.wanted;
        let template = if wanted { h.template() } else { h.inverse() };
        template.map_or(Ok(()), |template| template.render(registry, context, rc, out))
    }
}

fn truth(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Number(number) => number.as_f64().is_some_and(|number| number != 0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(_) => true,
    }
}

/// The `n`-th argument; a variable that does not exist is an error here too.
fn param<'a>(h: &'a Helper<'_>, n: usize) -> Result<&'a Value, RenderError> {
    let param = h
        .param(n)
        .ok_or_else(|| wrong(h, &format!("needs an argument number {}", n + 1)))?;
    if param.is_value_missing() {
        return Err(RenderError::strict_error(param.relative_path()));
    }
    Ok(param.value())
}

fn wrong(h: &Helper<'_>, what: &str) -> RenderError {
    RenderErrorReason::Other(format!("the helper `{}` {what}", h.name())).into()
}

fn read<T: serde::de::DeserializeOwned>(h: &Helper<'_>, n: usize, what: &str) -> Result<T, RenderError> {
    serde_json::from_value(param(h, n)?.clone()).map_err(|_| wrong(h, &format!("takes {what}")))
}

fn duration(h: &Helper<'_>, _: &Context) -> Result<String, RenderError> {
    Ok(read::<Period>(h, 0, "a length of time")?.to_string())
}

/// The two greatest units of a length of time, in words.
fn spoken(h: &Helper<'_>, _: &Context) -> Result<String, RenderError> {
    let seconds = read::<Period>(h, 0, "a length of time")?
        .duration()
        .as_secs()
        .unsigned_abs();
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    let parts = units.iter().scan(seconds, |left, (length, noun)| {
        let number = *left / length;
        *left %= length;
        Some((number, noun))
    });
    let said: Vec<String> = parts
        .skip_while(|(number, _)| *number == 0)
        .take(2)
        .filter(|(number, _)| *number > 0)
        .map(|(number, noun)| counted(number, noun))
        .collect();
    Ok(if said.is_empty() {
        "less than a second".to_owned()
    } else {
        said.join(" ")
    })
}

fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

fn span(h: &Helper<'_>, _: &Context) -> Result<String, RenderError> {
    let (from, to): (Timestamp, Timestamp) = (read(h, 0, "two moments")?, read(h, 1, "two moments")?);
    Ok(Period::between(from, to).to_string())
}

/// Whether a moment lies on the day of the notice.
fn is_that_day(moment: Timestamp, zone: &TimeZone, context: &Context) -> bool {
    let said = context.data().get("at").cloned();
    let said: Option<Timestamp> = said.and_then(|at| serde_json::from_value(at).ok());
    let day = |at: Timestamp| at.to_zoned(zone.clone()).date();
    said.is_some_and(|said| day(said) == day(moment))
}

fn local(h: &Helper<'_>, context: &Context) -> Result<String, RenderError> {
    let takes = "a moment and the name of a time zone";
    let (moment, zone): (Timestamp, String) = (read(h, 0, takes)?, read(h, 1, takes)?);
    let zone = zone_named(&zone).ok_or_else(|| wrong(h, &format!("takes {takes}")))?;
    let format = if is_that_day(moment, &zone, context) {
        "%H:%M %Z"
    } else {
        "%Y-%m-%d %H:%M %Z"
    };
    Ok(moment.to_zoned(zone).strftime(format).to_string())
}

fn clock(h: &Helper<'_>, context: &Context) -> Result<String, RenderError> {
    let moment: Timestamp = read(h, 0, "a moment")?;
    let format = if is_that_day(moment, &TimeZone::UTC, context) {
        "%H:%M:%S UTC"
    } else {
        "%Y-%m-%d %H:%M:%S UTC"
    };
    Ok(moment.strftime(format).to_string())
}

fn percent(h: &Helper<'_>, _: &Context) -> Result<String, RenderError> {
    Ok(read::<Share>(h, 0, "an observed share")?.to_string())
}

fn count(h: &Helper<'_>, _: &Context) -> Result<String, RenderError> {
    let number: u64 = read(h, 0, "a number and a noun")?;
    let noun: String = read(h, 1, "a number and a noun")?;
    Ok(counted(number, &noun))
}

fn list(h: &Helper<'_>, _: &Context) -> Result<String, RenderError> {
    let items: Vec<String> = read(h, 0, "a list of texts")?;
    Ok(match items.as_slice() {
        [] => "nobody".to_owned(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    })
}

fn short(h: &Helper<'_>, _: &Context) -> Result<String, RenderError> {
    let text: String = read(h, 0, "a text and a number")?;
    let most: usize = read(h, 1, "a text and a number")?;
    Ok(cut(text, most))
}

/// At most so many characters. What was cut before keeps one mark.
fn cut(text: String, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text,
        Some(_) => {
            let kept: String = text.chars().take(most.saturating_sub(3)).collect();
            format!("{}...", kept.trim_end_matches([' ', '.']))
        }
    }
}

/// The most people that one place of a text calls.
const MOST_CALLED: usize = 20;

fn mention(h: &Helper<'_>, context: &Context) -> Result<String, RenderError> {
    let takes = "the name of a role, or a list of them";
    let roles: Vec<String> = match param(h, 0)? {
        Value::String(role) => vec![role.clone()],
        Value::Array(_) => read(h, 0, takes)?,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            return Err(wrong(h, &format!("takes {takes}")));
        }
    };
    let known = context.data().pointer("/about/roles");
    let mut called: Vec<String> = Vec::new();
    for role in roles {
        let members = known.and_then(|known| known.get(&role)).and_then(Value::as_array);
        let members = members.into_iter().flatten().filter_map(Value::as_str);
        let marked: Vec<String> = members
            .map(|person| format!("{}{person}{}", mention::OPEN, mention::CLOSE))
            .collect();
        let shown = if marked.is_empty() { vec![role] } else { marked };
        for one in shown {
            if !called.contains(&one) {
                called.push(one);
            }
        }
    }
    let left_out = called.len().saturating_sub(MOST_CALLED);
    called.truncate(MOST_CALLED);
    if left_out > 0 {
        called.push(format!("{left_out} more"));
    }
    Ok(called.join(", "))
}
