//! Owns the checks of what led to a decision: the proof an advance needs, the suspicion a rollback needs, and the end.
//! Refuses to ask the core whether it was right: it asks what really happened.

use crate::action::{Action, Lane};
use crate::period::Period;
use crate::plan::{Mode, SeverityAction};
use crate::rollout::{Because, Rollout, Stage};

use crate::sim::replica::FRESH;
use crate::sim::source::{Occasion, Source};
use crate::sim::store::{Row, Store};
use crate::sim::target::Target;

use super::{Commit, Laws};

/// How far a bake may be off: a tick of each replica, and the way from deciding to saving, in milliseconds.
const TICKS: u64 = 3_500;
/// After so long without an answer a source counts as unreadable: three rounds, and the moment to notice.
const UNREADABLE_AFTER: u64 = 20_000;
/// An answer to a worker that is older than this was decided before a round began, in milliseconds.
const ANSWERED_BEFORE: u64 = 5_000;
/// A hook that was asked for is done within this time once nothing goes wrong any more, in milliseconds.
const HOOK_TAKES: u64 = 20_000;
/// A raise that was asked for is done within this time once nothing goes wrong any more, in milliseconds.
const RAISE_TAKES: u64 = 10_000;
/// Clocks of the alert source and ours may differ by so much.
const SKEW: u64 = 5_000;

impl Laws {
    /// Laws 8 and 9: an automatic rollback spends the budget, and its alert can be this rollout's fault.
    pub(super) fn rollback_was_due(&mut self, commit: &Commit<'_>, store: &Store, source: &Source) {
        let id = &commit.step.next.id;
        let Stage::RollingBack { because, .. } = &commit.step.next.stage else {
            return self.must(false, 4, || format!("{id} is rolled back before anything was asked"));
        };
        if !because.is_automatic() {
            return;
        }
        let armed = commit.before.plan.spec.mode == Mode::Armed;
        self.must(armed, 2, || format!("{id} is in shadow mode and rolls back by itself"));
        self.automatic += 1;
        let (spent, allowed, steady) = (self.automatic, self.budget, !self.clocks_jump);
        self.must(spent <= allowed, 8, || {
            format!("{id} is automatic rollback {spent} of {allowed}")
        });
        let Because::Alert { key, name, .. } = because else {
            return;
        };
        self.old_version_is_well(commit, name, store, source);
        let Some(occasion) = source.occasions.iter().find(|occasion| occasion.alert.key() == *key) else {
            return self.must(false, 9, || {
                format!("{id} rolls back for {name}, which never fired then")
            });
        };
        let ledger = &self.ledgers[commit.rollout];
        let (plan, exposed) = (ledger.plan, ledger.exposed.unwrap_or(u64::MAX));
        self.must(occasion.plan == plan, 9, || {
            format!("{id} rolls back for another service's {name}")
        });
        self.must(!occasion.old_version, 9, || {
            format!("{id} rolls back for its old version's {name}")
        });
        self.must(occasion.begins + SKEW >= exposed || !steady, 9, || {
            format!("{id} rolls back for {name}, which began before it carried traffic")
        });
        let known_before = store.heard.iter().any(|((fingerprint, _), (heard, alert))| {
            *fingerprint == key.fingerprint && *heard < commit.before.started_at && alert.key() != *key
        });
        self.must(!known_before || !steady, 9, || {
            format!("{id} rolls back for {name}, known from before its start")
        });
        if commit.decided_at == commit.now {
            let services = store.services_with(name, key.starts_at);
            self.must(services < 3, 8, || {
                format!("{id} rolls back for {name}, which fires on {services} services")
            });
        }
    }

    /// Law 8: what fails on the old version too is not helped by going back to it. Where the source has taken that back, and says
    /// it again, nobody knows until it was asked; then traffic goes back all the same.
    fn old_version_is_well(&mut self, commit: &Commit<'_>, name: &str, store: &Store, source: &Source) {
        let (id, plan) = (&commit.step.next.id, self.ledgers[commit.rollout].plan);
        let fails_too = source.occasions.iter().any(|occasion| {
            let about_old = occasion.plan == plan && occasion.old_version && occasion.alert.name() == name;
            let firing = occasion.active(commit.decided_at) && occasion.silenced.is_none();
            let taken_back = occasion.was_taken_back(commit.decided_at);
            about_old && firing && !taken_back && store.last_word_is_firing(&occasion.alert)
        });
        self.must(!fails_too, 8, || {
            format!("{id} rolls back for {name}, which was known to fire on the old version too")
        });
    }

    /// Law 7: forward only with proof, and only after the bake.
    pub(super) fn forward_was_proven(&mut self, commit: &Commit<'_>, store: &Store, source: &Source) {
        let (before, next) = (commit.before, &commit.step.next);
        let Some(needed) = left(commit) else {
            return;
        };
        let id = &next.id;
        let ledger = &self.ledgers[commit.rollout];
        let watched = (commit.now - ledger.arrived).saturating_sub(ledger.unwatched);
        self.must(watched + TICKS >= needed || ledger.between_clocks, 7, || {
            format!("{id} goes forward after {watched} ms of {needed}, the clock aside")
        });
        let heard = source.watchdog_heard.unwrap_or_default();
        let silence = commit.decided_at.saturating_sub(heard);
        let fresh = u64::try_from(FRESH.as_millis()).unwrap_or_default() + TICKS;
        self.must(silence <= fresh, 7, || {
            format!("{id} goes forward {silence} ms after the last Watchdog")
        });
        let unread = source.unreadable_for(commit.decided_at);
        self.must(unread <= UNREADABLE_AFTER, 7, || {
            format!("{id} goes forward, its alert source is unreadable for {unread} ms")
        });
        let told = source.occasions.iter().find(|occasion| {
            let ours = occasion.plan == self.ledgers[commit.rollout].plan && occasion.silenced.is_none();
            // Two replicas may decide the word of an end and the word after it in the other order; then the poll puts it right
            // while nothing advances. With their clocks an hour apart nobody can tell how long that was: one fault too many.
            let between_clocks = self.clocks_jump && occasion.was_taken_back(commit.decided_at);
            ours && !between_clocks && occasion.active(commit.decided_at) && store.last_word_is_firing(&occasion.alert)
        });
        self.must(told.is_none(), 7, || {
            format!(
                "{id} goes forward while {} fires, of which it was told",
                told.map_or("", |one| one.alert.name())
            )
        });
        self.nothing_listed_fires(commit, store, source);
        let firing = next.alerts.values().find(|tracked| tracked.standing.blocks());
        self.must(firing.is_none(), 7, || {
            format!(
                "{id} goes forward while {} fires",
                firing.map_or("", |tracked| tracked.name.as_str())
            )
        });
        let held = next.pause.is_some() || !next.holds.is_empty() || !next.decisions.is_empty();
        self.must(!held, 2, || format!("{id} goes forward, held or paused or asked"));
        let frozen = store.freeze.is_some() && !commit.environment_moved;
        self.must(!frozen, 8, || format!("{id} goes forward in a freeze"));
        self.must(!before.is_latched(), 3, || format!("{id} goes forward from its latch"));
    }

    /// Law 7: what a peer lists all along blocks, whatever any webhook said, from the first complete round on.
    fn nothing_listed_fires(&mut self, commit: &Commit<'_>, store: &Store, source: &Source) {
        let Some(round) = store.settled_round() else {
            return;
        };
        let (ledger, id) = (&self.ledgers[commit.rollout], &commit.step.next.id);
        // What a worker learned just before the round may have been decided during it.
        let since = round.began_at.saturating_sub(ANSWERED_BEFORE);
        let seen = ledger.started < since;
        let missed = source.occasions.iter().find(|occasion| {
            let listed = occasion.plan == ledger.plan && occasion.listed_throughout(since, commit.decided_at);
            seen && listed && !store.heard_its_end(&occasion.alert.key(), round.inbox)
        });
        self.must(missed.is_none(), 7, || {
            format!(
                "{id} goes forward while {} fires, which a peer has listed all along",
                missed.map_or("", |one| one.alert.name())
            )
        });
    }

    /// What must be true when every fault has ended for long enough.
    pub(in crate::sim) fn at_the_end(&mut self, store: &Store, targets: &[Target], source: &Source, ends_at: u64) {
        for (index, rollout) in store.rollouts.iter().enumerate() {
            let id = &rollout.id;
            let finished = !rollout.is_latched() || rollout.is_final() || self.hooks_go_on(rollout, ends_at);
            self.must(finished, 2, || {
                format!("{id} began to roll back and never ended: {:?}", rollout.stage)
            });
            let ledger = self.ledgers[index].clone();
            self.zero_has_stayed(index, store, targets);
            for occasion in &source.occasions {
                let exposed = ledger.exposed.is_some_and(|exposed| exposed <= occasion.begins);
                let counts = occasion.plan == ledger.plan && !occasion.old_version && exposed;
                let lasting = occasion.active(ends_at) && !occasion.is_silenced(ends_at);
                if counts && lasting && !rollout.is_final() {
                    self.was_acted_upon(rollout, occasion);
                }
            }
        }
        // A raise waits for as long as something stands in its way, and somebody may ask for one in the last moment.
        let waits = |row: &&Row| {
            let rollout = &store.rollouts[row.rollout];
            if rollout.is_hook(&row.action.id) && self.hooks_go_on(rollout, ends_at) {
                return true;
            }
            let stopped = rollout.pause.is_some() || !rollout.holds.is_empty() || !rollout.decisions.is_empty();
            let fires = rollout.alerts.values().any(|tracked| tracked.standing.blocks());
            // What a person asks for at the very end is still on its way.
            let asked = self.intents.get(&row.action.id);
            let fresh = asked.is_some_and(|asked| asked + RAISE_TAKES > ends_at);
            row.action.lane() == Lane::Forward && (stopped || fires || fresh || store.freeze.is_some())
        };
        let open = store
            .outbox
            .iter()
            .find(|row| row.closed.is_none() && !waits(row))
            .cloned();
        self.must(open.is_none(), 6, || format!("never done: {open:?}"));
        self.nothing_due_is_forgotten(store, ends_at);
        let unheard = store.inbox.iter().find(|arrival| !arrival.settled);
        self.must(unheard.is_none(), 1, || format!("never decided: {unheard:?}"));
    }

    /// Whether a hook was asked for shortly before the end of the history.
    fn hooks_go_on(&self, rollout: &Rollout, ends_at: u64) -> bool {
        let asked = rollout.hook_awaited().and_then(|run| self.intents.get(&run.action));
        asked.is_some_and(|asked| asked + HOOK_TAKES > ends_at)
    }

    /// A missed alert is an outage: what fires to the end and can be our fault has acted, and blocks.
    fn was_acted_upon(&mut self, rollout: &Rollout, occasion: &Occasion) {
        let tracked = rollout.alerts.get(&occasion.alert.fingerprint);
        let acted = tracked
            .is_some_and(|tracked| tracked.acted_on == Some(occasion.alert.starts_at) && tracked.standing.blocks());
        let name = occasion.alert.name();
        self.must(acted, 1, || {
            format!(
                "{} fires since {} ms and {} knows {tracked:?}",
                name, occasion.begins, rollout.id
            )
        });
        let rolls_back = tracked
            .and_then(|tracked| rollout.plan.spec.severities.get(&tracked.severity))
            .is_some_and(|severity| severity.action == SeverityAction::Rollback);
        let advanced = matches!(rollout.stage, Stage::Completed { .. });
        self.must(!(rolls_back && advanced), 7, || {
            format!("{} completed while {name} fires", rollout.id)
        });
    }
}

fn raises(action: &Action) -> bool {
    action.kind.is_raise()
}

/// How long the stage that is being left must have lasted, in milliseconds; `None` when this is not a way forward.
fn left(commit: &Commit<'_>) -> Option<u64> {
    let (before, next) = (commit.before, &commit.step.next);
    let spec = &before.plan.spec;
    let period = match (&before.stage, &next.stage) {
        (
            Stage::Baking { phase, .. } | Stage::AtGate { phase, .. },
            Stage::Advancing { .. } | Stage::Watching { .. } | Stage::Completed { .. },
        ) => spec.phases.get(*phase)?.bake,
        (Stage::Watching { .. }, Stage::Completed { .. }) => spec.watch,
        // The hooks of a phase took their time; what follows them needs proof of its own.
        (Stage::Advancing { action, .. }, Stage::Advancing { .. })
            if before.is_hook(action) && commit.step.actions.iter().any(raises) =>
        {
            Period::ZERO
        }
        _ => return None,
    };
    u64::try_from(period.as_millis()).ok()
}
