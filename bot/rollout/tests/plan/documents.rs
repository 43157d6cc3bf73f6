//! That what is published about plans is true: the schema and the reference.

use serde_json::{Value, json};
use tidegate_rollout::plan::reference;
use tidegate_rollout::plan::schema::{SCHEMA_ID, schema};

use super::EXAMPLE;

fn example() -> Value {
    serde_saphyr::from_str(EXAMPLE).expect("the example is YAML")
}

/// A validator that knows nothing of our types. Compiling it also checks the schema against its own draft.
fn judge() -> impl Fn(&Value) -> Result<(), String> {
    let mut compiler = boon::Compiler::new();
    compiler.add_resource(SCHEMA_ID, schema().clone()).expect("a resource");
    let mut schemas = boon::Schemas::new();
    let index = compiler
        .compile(SCHEMA_ID, &mut schemas)
        .expect("the schema keeps to its draft");
    move |plan| schemas.validate(plan, index).map_err(|error| error.to_string())
}

#[test]
fn the_schema_has_a_name_and_the_example_says_it() {
    assert_eq!(schema()["$id"], SCHEMA_ID);
    assert!(EXAMPLE.starts_with(&format!("# yaml-language-server: $schema={SCHEMA_ID}\n")));
}

#[test]
fn the_schema_takes_the_example() {
    assert_eq!(judge()(&example()), Ok(()));
}

#[test]
fn the_schema_refuses_unknown_keys_at_every_level() {
    let judge = judge();
    let maps = [
        "",
        "/metadata",
        "/spec",
        "/spec/roles/oncall",
        "/spec/target",
        "/spec/target/flag",
        "/spec/phases/0",
        "/spec/triggers/0",
        "/spec/triggers/0/alert",
        "/spec/severities/sev1",
        "/spec/severities/sev2/action/decide",
        "/spec/alerts",
        "/spec/audiences/team",
        "/spec/commitments/day",
        "/spec/inputs/version",
    ];
    for pointer in maps {
        let mut plan = example();
        let map = plan.pointer_mut(pointer).and_then(Value::as_object_mut);
        map.unwrap_or_else(|| panic!("no map at {pointer}"))
            .insert("surprise".to_owned(), json!(1));
        assert!(judge(&plan).is_err(), "{pointer}");
    }
}

#[test]
fn the_schema_and_the_reader_refuse_the_same_words() {
    let judge = judge();
    let cases = [
        ("/spec/phases/0/weight", json!("15")),
        ("/spec/phases/0/weight", json!("101%")),
        ("/spec/phases/0/weight", json!(15)),
        ("/spec/phases/0/bake", json!("30")),
        ("/spec/phases/1/gate", json!("hand")),
        ("/spec/triggers/0/alert/matchers", json!([])),
        ("/spec/triggers/0/alert/matchers/0", json!("severity")),
        ("/spec/commitments/day/daily", json!("5pm")),
        ("/spec/commitments/cutover/every", json!("hourly")),
        ("/spec/commitments/cutover/while", json!("night")),
        ("/spec/commitments/day/to", json!([])),
        ("/spec/phases", json!([])),
        ("/metadata/name", json!("Not A Name")),
    ];
    for (pointer, value) in cases {
        let mut plan = example();
        *plan
            .pointer_mut(pointer)
            .unwrap_or_else(|| panic!("nothing at {pointer}")) = value.clone();
        assert!(judge(&plan).is_err(), "the schema takes {value} at {pointer}");
        let read = tidegate_rollout::plan::source::read(&plan.to_string());
        assert!(read.plan.is_none(), "the reader takes {value} at {pointer}");
    }
}

/// The reference as it stands in the repository.
const REFERENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/plan.md");

/// `text` with what stands between the markers called `name` replaced by `inner`.
fn with_section(text: &str, name: &str, inner: &str) -> String {
    let (begin, end) = (
        format!("<!-- {name}: made from the code -->\n"),
        format!("<!-- end of {name} -->"),
    );
    let start = text.find(&begin).expect(&begin) + begin.len();
    let stop = text.find(&end).expect(&end);
    format!("{}\n{inner}\n\n{}", &text[..start], &text[stop..])
}

#[test]
fn the_reference_says_what_the_code_does() {
    let written = std::fs::read_to_string(REFERENCE).expect("docs/plan.md");
    let text = with_section(&written, "keys", &reference::keys());
    let text = with_section(&text, "codes", &reference::codes());
    if std::env::var_os("TIDEGATE_UPDATE_DOCS").is_some() {
        std::fs::write(REFERENCE, &text).expect("written");
    }
    assert!(
        written == text,
        "docs/plan.md lags: run this test once with TIDEGATE_UPDATE_DOCS=1 and commit the result"
    );
}

#[test]
fn the_example_in_the_reference_is_the_example() {
    let written = std::fs::read_to_string(REFERENCE).expect("docs/plan.md");
    assert!(
        written.contains(&format!("```yaml\n{EXAMPLE}```")),
        "copy deploy/examples/checkout/plan.yaml into docs/plan.md"
    );
}

#[test]
fn every_piece_of_yaml_in_the_reference_can_be_read() {
    let written = std::fs::read_to_string(REFERENCE).expect("docs/plan.md");
    let pieces: Vec<&str> = written
        .split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert!(pieces.len() > 3, "the reference has examples");
    for piece in pieces.into_iter().filter(|piece| !piece.contains("apiVersion")) {
        // A piece is what stands under `spec`; it is put in place of the same keys of the example.
        let piece: Value = serde_saphyr::from_str(piece).unwrap_or_else(|error| panic!("{error}: {piece}"));
        let mut plan = example();
        let spec = plan["spec"].as_object_mut().expect("a map");
        spec.extend(piece.as_object().expect("a map").clone());
        let read = tidegate_rollout::plan::source::read(&plan.to_string());
        assert_eq!(read.findings, [], "{piece}");
    }
}
