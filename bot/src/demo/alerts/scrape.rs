//! Owns the reading of the shop's `/metrics`.
//! Refuses to be a whole parser of the format: it reads the one counter the rule needs, and skips every other line.

use std::collections::BTreeMap;

use super::rule::Scrape;
use crate::demo::shop::{REQUESTS, Version};

/// The counters of the new version in `text`, by rollout.
pub(super) fn read(text: &str) -> Scrape {
    let mut scrape = Scrape::new();
    for (labels, value) in text.lines().filter_map(sample) {
        if labels.get("version").map(String::as_str) != Some(Version::New.number()) {
            continue;
        }
        let rollout = labels.get("rollout").cloned().unwrap_or_default();
        let counters = scrape.entry(rollout).or_default();
        counters.total += value;
        let failed = labels.get("code").is_some_and(|code| code.starts_with('5'));
        counters.bad += if failed { value } else { 0 };
    }
    scrape
}

/// The labels and the value of a line, if it is a sample of the counter.
fn sample(line: &str) -> Option<(BTreeMap<String, String>, u64)> {
    let inside = line.strip_prefix(REQUESTS)?.strip_prefix('{')?;
    let (labels, rest) = labels(inside)?;
    Some((labels, rest.trim().parse().ok()?))
}

/// `name="value",…}` with the escapes of the format; gives back what stands behind the brace.
fn labels(text: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    let mut rest = text;
    loop {
        if let Some(behind) = rest.strip_prefix('}') {
            return Some((labels, behind));
        }
        let (name, value) = rest.split_once("=\"")?;
        let (value, behind) = quoted(value)?;
        labels.insert(name.to_owned(), value);
        rest = behind.strip_prefix(',').unwrap_or(behind);
    }
}

fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    loop {
        match characters.next()? {
            (at, '"') => return Some((value, &text[at + 1..])),
            (_, '\\') => value.push(match characters.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            (_, other) => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::rule::Counters;
    use super::*;

    #[test]
    fn only_the_new_version_is_read_by_rollout() {
        let text = "# TYPE shop_requests_total counter\n\
            shop_requests_total{code=\"200\",rollout=\"\",version=\"1.9.0\"} 900\n\
            shop_requests_total{code=\"200\",rollout=\"shop-1\",version=\"2.0.0\"} 70\n\
            shop_requests_total{code=\"500\",rollout=\"shop-1\",version=\"2.0.0\"} 30\n\
            shop_requests_total{code=\"200\",rollout=\"a\\\"}\\n\",version=\"2.0.0\"} 1\n\
            shop_flag_failures_total 4\n";
        let expected = BTreeMap::from([
            ("shop-1".to_owned(), Counters { bad: 30, total: 100 }),
            ("a\"}\n".to_owned(), Counters { bad: 0, total: 1 }),
        ]);
        assert_eq!(read(text), expected);
    }

    #[test]
    fn lines_that_are_no_sample_are_skipped() {
        for line in [
            "shop_requests_total{code=\"200",
            "shop_requests_total{} x",
            "shop_requests_total 7",
            "shop_requests_totals{version=\"2.0.0\"} 7",
            "",
        ] {
            assert_eq!(read(line), Scrape::new(), "{line}");
        }
    }
}
