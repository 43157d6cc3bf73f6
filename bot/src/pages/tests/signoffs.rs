//! What people say at a gate, on the page: forms for those who may, reasons for the others, and what was said already.

use serde_json::json;
use tidegate_rollout::Plan;

use super::*;

/// A gate that asks an approval and a tick.
fn asking() -> Story {
    let mut plan = serde_json::to_value(samples::plan()).unwrap();
    plan["spec"]["roles"]["ops-lead"] = json!({ "members": ["jon", "lee"] });
    plan["spec"]["phases"][0] = json!({
        "name": "canary", "weight": "5%", "bake": "30m", "gate": "manual",
        "approvals": [{ "role": "ops-lead" }],
        "checks": [{ "id": "sessions", "text": "nobody was logged out" }],
    });
    let plan: Plan = serde_json::from_value(plan).unwrap();
    Story::begins(plan, 9).read_back().later(31)
}

fn page_for(story: &Story, who: &str, role: Role) -> String {
    let reader = Reader {
        actor: samples::actor(who, role),
        theme: Theme::System,
    };
    let page = RolloutPage::of(&story.seen(), &story.history, Some(&reader), story.now);
    shown("rollout-signoffs", pages().rollout(&page))
}

/// Every form of a page that says `verb`, as the fields that it sends.
fn forms(html: &str, verb: &str) -> Vec<Vec<(String, String)>> {
    let attribute = |tag: &str, name: &str| {
        let rest = tag.split(&format!("{name}=\"")).nth(1)?;
        Some(rest.split('"').next()?.to_owned())
    };
    let fields = |form: &str| -> Vec<(String, String)> {
        let tags = form
            .split('<')
            .filter(|tag| tag.starts_with("input") || tag.starts_with("button"));
        tags.filter_map(|tag| Some((attribute(tag, "name")?, attribute(tag, "value").unwrap_or_default())))
            .collect()
    };
    let forms = html
        .split("<form")
        .skip(1)
        .filter_map(|rest| rest.split("</form>").next());
    let says = ("verb".to_owned(), verb.to_owned());
    forms.map(fields).filter(|fields| fields.contains(&says)).collect()
}

/// What the server makes of a form that is sent off as it stands.
fn pressed(fields: &[(String, String)]) -> Command {
    let fields: serde_json::Map<_, _> = fields
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    let press: Press = serde_json::from_value(fields.into()).unwrap();
    press.command().unwrap()
}

#[test]
fn who_is_asked_says_so_by_a_form_and_the_others_read_who_is() {
    let story = asking();
    let html = page_for(&story, "jon", Role::Operator);
    assert!(
        words(&html).contains("Waits for people ops-lead approval by jon"),
        "{}",
        words(&html)
    );
    let approve = forms(&html, "approve");
    let role = Some("ops-lead".to_owned());
    let comment = String::new();
    assert_eq!(approve.len(), 1, "{html}");
    assert_eq!(pressed(&approve[0]), Command::Approve { role, comment });
    let check = forms(&html, "check");
    assert_eq!(check.len(), 1, "{html}");
    let (item, evidence) = ("sessions".to_owned(), String::new());
    assert_eq!(
        pressed(&check[0]),
        Command::Check {
            item,
            done: true,
            evidence
        }
    );

    // Whoever started it may tick, and not approve; whoever looks may do neither.
    let starter = page_for(&story, "lee", Role::Operator);
    assert!(forms(&starter, "approve").is_empty() && forms(&starter, "check").len() == 1);
    assert!(
        words(&starter).contains("lee started checkout-9 and so cannot approve it."),
        "{}",
        words(&starter)
    );
    let viewer = page_for(&story, "vic", Role::Viewer);
    assert!(forms(&viewer, "approve").is_empty() && forms(&viewer, "check").is_empty());
    assert!(words(&viewer).contains("vic is none of them"), "{}", words(&viewer));
}

#[test]
fn what_was_said_stands_there_with_its_name_and_a_tick_can_be_taken_back() {
    let tick = Command::Check {
        item: "sessions".to_owned(),
        done: true,
        evidence: String::new(),
    };
    let approve = Command::Approve {
        role: None,
        comment: "cache warm".to_owned(),
    };
    let story = asking().says("mara", tick).says("jon", approve);
    let html = page_for(&story, "lee", Role::Operator);
    let text = words(&html);
    assert!(text.contains("Everybody who is asked has said their word."), "{text}");
    assert!(
        text.contains("jon approved as ops-lead") && text.contains("mara ticked sessions"),
        "{text}"
    );
    let (item, evidence) = ("sessions".to_owned(), String::new());
    let undo = forms(&html, "check");
    assert_eq!(undo.len(), 1, "{html}");
    assert_eq!(
        pressed(&undo[0]),
        Command::Check {
            item,
            done: false,
            evidence
        }
    );
    let viewer = page_for(&story, "vic", Role::Viewer);
    assert!(forms(&viewer, "check").is_empty(), "a viewer takes nothing back");
}

#[test]
fn whoever_looks_at_an_alert_or_a_question_says_so_by_a_form() {
    let story = asking().alert("CheckoutLatencyHigh", "checkout-7d9f", -1);
    let html = page_for(&story, "jon", Role::Oncall);
    let all: Vec<Command> = forms(&html, "ack").iter().map(|form| pressed(form)).collect();
    let alert = Some("CheckoutLatencyHigh".to_owned());
    let number = Some(story.rollout.decisions[0].number);
    let expected = [
        Command::Ack { alert: None, number },
        Command::Ack { alert, number: None },
    ];
    assert_eq!(all, expected, "{html}");
    assert!(forms(&page_for(&story, "vic", Role::Viewer), "ack").is_empty());

    let seen = expected.into_iter().fold(story, |story, ack| story.says("jon", ack));
    let text = words(&page_for(&seen, "jon", Role::Oncall));
    assert_eq!(text.matches("jon looks at it.").count(), 2, "{text}");
    assert!(!text.contains("I look at it"), "{text}");
}

#[test]
fn a_form_that_says_nothing_sensible_is_refused() {
    let refused = |fields: serde_json::Value| {
        let press: Press = serde_json::from_value(fields).unwrap();
        press.command().unwrap_err().code
    };
    for wrong in [
        json!({ "verb": "check", "name": "sessions", "answer": "perhaps" }),
        json!({ "verb": "ack", "number": "minus one" }),
        json!({ "verb": "approve", "name": "x".repeat(2_001) }),
        json!({ "verb": "ack", "alert": "x".repeat(2_001) }),
    ] {
        assert_eq!(refused(wrong.clone()), Code::R104, "{wrong}");
    }
}
