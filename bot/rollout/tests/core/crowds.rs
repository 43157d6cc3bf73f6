//! What many label sets, raised priorities, ended silences and sources that cannot be asked do to a rollout.

use tidegate_rollout::action::SuspectAnswer;
use tidegate_rollout::alert::Suppression;
use tidegate_rollout::plan::Hears;
use tidegate_rollout::rollout::{Guard, Holder, Standing};
use tidegate_rollout::surroundings::Poll;
use tidegate_rollout::{Alert, Event, Fingerprint, Plan, Source};

use crate::bench::{Bench, alert, at, jon, labelled, over, plan, plan_with};

fn pod(name: &str, n: i64) -> Alert {
    Alert {
        fingerprint: Fingerprint(format!("fp-{name}-{n}")),
        ..labelled(alert(name, at(n)), "pod", &n.to_string())
    }
}

fn standing(bench: &Bench, fingerprint: &str) -> Standing {
    bench.rollout.alerts[&Fingerprint(fingerprint.to_owned())]
        .standing
        .clone()
}

fn holds_of(bench: &Bench, guard: Guard) -> usize {
    let of = |holder: &Holder| *holder == Holder::Guard(guard);
    bench.rollout.holds.iter().filter(|hold| of(&hold.by)).count()
}

#[test]
fn five_hundred_pods_ask_one_question() {
    let mut bench = Bench::baking(plan());
    for n in 1..=500 {
        bench.fires(&pod("HighLatency", n));
    }
    assert_eq!(bench.notices_of("decision-opened"), 1);
    assert_eq!(bench.rollout.decisions.len(), 1);
    assert_eq!(bench.rollout.decisions[0].more, 499);
    let lines = bench.log.iter().filter(|entry| entry.kind == "alert-again").count();
    assert!((1..=9).contains(&lines), "{lines} lines");
    bench.types(&jon(), "decide continue").expect("answered");
    bench.fires(&pod("HighLatency", 501));
    assert_eq!(bench.notices_of("decision-opened"), 2, "asked anew after an answer");
}

#[test]
fn five_hundred_pods_are_told_once_and_their_end_once() {
    let mut bench = Bench::baking(plan());
    for n in 1..=500 {
        bench.fires(&pod("Chatty", n));
    }
    assert_eq!(bench.notices_of("alert-logged"), 1);
    for n in 1..=500 {
        bench.fires(&over(&pod("Chatty", n), at(600)));
        assert_eq!(bench.notices_of("alert-resolved"), usize::from(n == 500));
    }
}

#[test]
fn a_severity_that_pages_pages_also_when_it_only_logs() {
    for (page, heard) in [(false, Hears::Everything), (true, Hears::Pages)] {
        let plan = plan_with(|plan| plan["spec"]["severities"]["sev3"]["page"] = page.into());
        let mut bench = Bench::baking(plan);
        bench.fires(&alert("Chatty", at(1)));
        let notice = bench.notices.iter().find(|notice| notice.kind.word() == "alert-logged");
        assert_eq!(notice.map(|notice| notice.kind.loudness()), Some(heard), "page: {page}");
    }
}

/// One webhook proves that it is told again, so the silence is over or the word is old: only the source knows.
#[test]
fn a_firing_webhook_after_a_silence_is_asked_about() {
    for (answer, acts) in [(SuspectAnswer::Active, true), (SuspectAnswer::Absent, false)] {
        let occasion = alert("HighErrorRate", at(1));
        let silenced = Alert {
            suppressed: Some(Suppression::Silenced {
                by: vec!["s-1".to_owned()],
            }),
            ..occasion.clone()
        };
        let mut bench = Bench::baking(plan());
        bench.feed(&Event::Polled(silenced)).expect("never refused");
        bench.peers = answer;
        bench.fires(&occasion);
        assert_eq!(
            standing(&bench, "fp-HighErrorRate"),
            Standing::Suspect,
            "it blocks meanwhile"
        );
        bench.work();
        assert_eq!(bench.rollout.is_latched(), acts, "{answer:?}");
    }
}

fn by_priority() -> Plan {
    plan_with(|plan| {
        plan["spec"]["triggers"][0]["alert"]["matchers"] = ["priority=\"P1\""].as_slice().into();
        plan["spec"]["triggers"][2]["alert"]["matchers"] = ["priority=\"P3\""].as_slice().into();
    })
}

#[test]
fn a_priority_that_is_raised_after_a_reopen_counts() {
    let incident = |priority: &str, since: i64| Alert {
        source: Source::PagerDuty,
        ..labelled(alert("incident", at(since)), "priority", priority)
    };
    let mut bench = Bench::baking(by_priority());
    bench.fires(&incident("P3", 1));
    bench.fires(&over(&incident("P3", 1), at(20)));
    bench.fires(&incident("P3", 30));
    assert_eq!(standing(&bench, "fp-incident"), Standing::Counting);
    // PagerDuty tells a new priority under the moment of creation.
    bench.fires(&incident("P1", 1));
    assert!(bench.rollout.is_latched(), "the incident that goes on got worse");
}

#[test]
fn a_priority_that_is_raised_on_an_incident_that_is_over_does_nothing() {
    let incident = |priority: &str| Alert {
        source: Source::PagerDuty,
        ..labelled(alert("incident", at(1)), "priority", priority)
    };
    let mut bench = Bench::baking(by_priority());
    bench.fires(&incident("P3"));
    bench.fires(&over(&incident("P3"), at(20)));
    bench.fires(&incident("P1"));
    assert!(!bench.rollout.is_latched());
    assert_eq!(standing(&bench, "fp-incident"), Standing::Suspect);
}

#[test]
fn a_source_that_cannot_be_asked_holds_once_until_a_person_has_looked() {
    for source in [Source::Grafana, Source::PagerDuty, Source::Alertmanager] {
        let occasion = Alert {
            source,
            ..alert("HighErrorRate", at(1))
        };
        let mut bench = Bench::baking(plan());
        bench.around.poll = Poll::NotConfigured;
        bench.fires(&over(&occasion, at(9)));
        bench.fires(&occasion);
        assert!(bench.take_open().is_empty(), "{source:?}: nobody can be asked");
        bench.pass(300);
        assert_eq!(holds_of(&bench, Guard::Unreadable), 1);
        assert_eq!(bench.notices_of("guard-holds"), 1, "{source:?}: people are paged once");
        assert_eq!(standing(&bench, "fp-HighErrorRate"), Standing::Suspect, "it blocks");
        let number = bench.rollout.holds[0].number;
        bench
            .types(&jon(), &format!("release {number}"))
            .expect("a guard's hold");
        assert_eq!(standing(&bench, "fp-HighErrorRate"), Standing::Stale, "jon looked");
    }
}

#[test]
fn a_source_that_does_not_answer_is_asked_less_and_less_often() {
    let occasion = alert("HighErrorRate", at(1));
    let mut bench = Bench::baking(plan());
    bench.peers = SuspectAnswer::Unreadable;
    bench.fires(&over(&occasion, at(9)));
    bench.fires(&occasion);
    let generation = bench.rollout.generation;
    bench.pass(600);
    let steps = bench.rollout.generation - generation;
    assert!(steps < 30, "{steps} steps in ten minutes");
    assert_eq!(bench.notices_of("guard-holds"), 1);
}

/// Law 8: a suspicion that is confirmed rolls back no more than a plain alert would.
#[test]
fn a_confirmed_suspicion_minds_the_other_services() {
    let occasion = alert("HighErrorRate", at(1));
    let mut bench = Bench::baking(plan());
    bench.fires(&over(&occasion, at(9)));
    bench.fires(&occasion);
    let asked = bench.take_open().pop().expect("its source is asked");
    let answer = tidegate_rollout::Outcome::Asked {
        key: occasion.key(),
        answer: SuspectAnswer::Active,
    };
    let event = Event::Reported {
        action: asked.id.clone(),
        outcome: answer.clone(),
    };
    let about = event.concerning(&bench.rollout);
    assert_eq!(
        about,
        Some(("HighErrorRate", at(1))),
        "whoever decides counts its services"
    );
    bench.around.services_with_this_alert = 3;
    bench.report(&asked, answer);
    assert!(!bench.rollout.is_latched());
    assert_eq!(holds_of(&bench, Guard::WideAlert), 1);
}
