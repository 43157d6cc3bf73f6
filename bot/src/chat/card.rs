//! Owns the card of a rollout: the headline in the fixed order state, phase, share, health, and what it waits for.
//! Refuses to be kept: it is made from the rollout each time, so it is always true.

mod wording;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tidegate_rollout::notice::clock;
use tidegate_rollout::plan::Gate;
use tidegate_rollout::rollout::{Because, Stage, Standing};
use tidegate_rollout::step::{Blocker, blockers};
use tidegate_rollout::{Health, Period, Rollout, Surroundings};

pub(super) use wording::{HOOKS, REASONS, WAY_BACK, known};

/// Where a rollout stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Card {
    /// Its id.
    pub rollout: String,
    /// The plan's title.
    pub title: String,
    /// The service.
    pub service: String,
    /// The environment.
    pub environment: String,
    /// The version, where the plan asks for one.
    pub version: Option<String>,
    /// The state in one word.
    pub state: String,
    /// The health in one word; `None` once it is over.
    pub health: Option<String>,
    /// What fires, or what is not known.
    pub health_detail: Option<String>,
    /// The wanted weight, such as `25%`.
    pub weight: String,
    /// The phase's name; `None` once it was rolled back or aborted.
    pub phase: Option<String>,
    /// The phase's number, from 1.
    pub number: usize,
    /// How many phases there are.
    pub phases: usize,
    /// What happens next by itself, or what it waits for.
    pub next: String,
    /// Everything that keeps it from advancing now.
    pub waits_for: Vec<String>,
    /// Why it went back, once it did.
    pub because: Option<String>,
    /// The way back, rung by rung, with times.
    #[serde(default)]
    pub ladder: Vec<String>,
    /// Who looks at what fires or is asked.
    #[serde(default)]
    pub looked_at: Vec<String>,
    /// The hooks so far, with times and what came of them.
    #[serde(default)]
    pub hooks: Vec<String>,
    /// The commitment that is due next: to whom, and by when in the time zone of the plan.
    #[serde(default)]
    pub next_update: Option<String>,
    /// The commitments that were missed and not kept since.
    #[serde(default)]
    pub missed: Vec<String>,
    /// The share that the target shows now, such as `60.0%`, where that is known.
    #[serde(default)]
    pub observed: Option<String>,
    /// Said where the file of its plan changed since the start.
    #[serde(default)]
    pub plan_changed: Option<String>,
    /// What keeps the rollback from being finished; people are needed.
    #[serde(default)]
    pub stuck: Option<String>,
    /// Who started it.
    pub started_by: String,
    /// When, in RFC 3339.
    pub started_at: String,
    /// The revision; buttons carry it.
    pub generation: u64,
    /// Whether the plan acts by itself.
    pub armed: bool,
}

impl Card {
    /// The card of `rollout` at `now`.
    pub fn of(rollout: &Rollout, around: &Surroundings, now: Timestamp) -> Self {
        let spec = &rollout.plan.spec;
        let health = (!rollout.is_final() && !matches!(rollout.stage, Stage::RolledBack { .. }))
            .then(|| rollout.health(around, now));
        let waits_for = if rollout.is_final() || rollout.is_latched() {
            Vec::new()
        } else {
            let found = blockers(rollout, around, now);
            found.iter().map(|blocker| in_the_way(rollout, blocker)).collect()
        };
        Self {
            rollout: rollout.id.to_string(),
            title: spec.title.clone(),
            service: spec.service.clone(),
            environment: spec.environment.clone(),
            version: rollout.version().map(str::to_owned),
            state: rollout.state_word().to_owned(),
            health: health.as_ref().map(|health| health.word().to_owned()),
            health_detail: health.as_ref().and_then(detail),
            weight: rollout.wanted.to_string(),
            phase: rollout.phase().map(|phase| phase.name.clone()),
            number: rollout.phase_index() + 1,
            phases: spec.phases.len(),
            next: next(rollout, around, now),
            waits_for,
            because: because(rollout).map(ToString::to_string),
            observed: None,
            ladder: rollout.ladder.iter().map(|climb| climb.line(now)).collect(),
            looked_at: looked_at(rollout, now),
            hooks: rollout.hooks.iter().map(|run| run.line(&rollout.plan, now)).collect(),
            next_update: rollout.next_update(now),
            missed: rollout.missed_updates(now),
            plan_changed: None,
            stuck: stuck(rollout).map(str::to_owned),
            started_by: rollout.started_by.to_string(),
            started_at: rollout.started_at.to_string(),
            generation: rollout.generation,
            armed: spec.mode == tidegate_rollout::plan::Mode::Armed && !rollout.is_final(),
        }
    }

    /// The card in plain text, a few lines that read from top to bottom.
    pub fn text(&self) -> String {
        let version = self
            .version
            .as_deref()
            .map(|version| format!(" {version}"))
            .unwrap_or_default();
        let mut lines = vec![format!(
            "{}  {}{version}  ({})",
            self.rollout, self.title, self.environment
        )];
        let phase = match &self.phase {
            Some(name) => format!("phase {} of {} ({name})", self.number, self.phases),
            None => "no phase".to_owned(),
        };
        let health = self
            .health
            .as_deref()
            .map(|health| format!(" × {health}"))
            .unwrap_or_default();
        let armed = if self.armed { "  auto-rollback ARMED" } else { "" };
        let weight = self.share_in_words();
        lines.push(format!("{}{health}  {phase}  {weight}{armed}", self.state));
        lines.extend(self.health_detail.clone());
        lines.extend(self.because.as_ref().map(|because| format!("Because: {because}")));
        lines.push(self.next.clone());
        lines.extend(self.plan_changed.clone());
        lines.extend(self.rungs().iter().map(|rung| format!("- {rung}")));
        lines.extend(self.looked_at.clone());
        lines.extend(self.commitments());
        lines.extend(self.hooks.iter().map(|hook| format!("- hook {hook}")));
        lines.extend(self.waits_for.iter().map(|reason| format!("- {reason}")));
        lines.join("\n")
    }
}

fn detail(health: &Health) -> Option<String> {
    match health {
        Health::Healthy => None,
        Health::OffTarget { firing } | Health::Critical { firing } => Some(format!("Firing: {}", firing.join(", "))),
        Health::NoData { why } => Some(format!("Not known: {why}")),
    }
}

fn looked_at(rollout: &Rollout, now: Timestamp) -> Vec<String> {
    let line = |one: &tidegate_rollout::signoff::Acknowledged| {
        format!(
            "{} looks at {} since {}",
            one.by,
            one.what,
            Period::between(one.at, now)
        )
    };
    rollout.acknowledged.iter().map(line).collect()
}

fn because(rollout: &Rollout) -> Option<&Because> {
    match &rollout.stage {
        Stage::RollingBack { because, .. } | Stage::RolledBack { because, .. } => Some(because),
        Stage::Advancing { .. }
        | Stage::Baking { .. }
        | Stage::AtGate { .. }
        | Stage::Watching { .. }
        | Stage::Completed { .. }
        | Stage::Aborted { .. } => None,
    }
}

fn stuck(rollout: &Rollout) -> Option<&str> {
    match &rollout.stage {
        Stage::RollingBack { stuck, .. } => stuck.as_deref(),
        Stage::RolledBack { .. }
        | Stage::Advancing { .. }
        | Stage::Baking { .. }
        | Stage::AtGate { .. }
        | Stage::Watching { .. }
        | Stage::Completed { .. }
        | Stage::Aborted { .. } => None,
    }
}

/// What a hook has to do with what happens next.
fn hooks(rollout: &Rollout, now: Timestamp) -> Option<String> {
    let plan = &rollout.plan;
    if let Some(run) = rollout.hook_awaited() {
        let (name, when, lasting) = (&run.name, run.moment.words(plan), Period::between(run.since, now));
        let said = rollout.progress_of(&run.action);
        let said = said.map(|progress| format!(": {}", progress.why)).unwrap_or_default();
        return Some(format!("Hook {name} {when} was asked for {lasting} ago{said}."));
    }
    let run = rollout.hook_unsettled()?;
    let when = run.moment.words(plan);
    Some(format!(
        "Hook {} {when} did not pass. Say `retry`, `release` to go on without it, or `rollback`.",
        run.name
    ))
}

/// What stands in the way, in words. What a person has to do about it is said where it would not be known otherwise.
fn in_the_way(rollout: &Rollout, blocker: &Blocker) -> String {
    let refusal = blocker.refusal(rollout);
    if matches!(blocker, Blocker::Held { .. } | Blocker::Undecided { .. }) {
        format!("{} {}", refusal.message, refusal.hint)
    } else {
        refusal.message
    }
}

/// A gate opens to nobody while something else stands in the way, so that is said first.
fn at_gate(rollout: &Rollout, phase: usize, around: &Surroundings, now: Timestamp) -> String {
    let found = blockers(rollout, around, now);
    let by_itself = rollout
        .plan
        .spec
        .phases
        .get(phase)
        .is_some_and(|phase| phase.gate == Gate::Auto);
    if found.iter().any(|blocker| !matches!(blocker, Blocker::Unsigned { .. })) {
        let then = if by_itself {
            "it goes on by itself"
        } else {
            "say `advance`"
        };
        return format!("Stands still until what stands in its way is gone; then {then}.");
    }
    match (found.is_empty(), by_itself) {
        (false, _) => "Its gate waits for people.".to_owned(),
        (true, true) => "Goes on by itself.".to_owned(),
        (true, false) => "Waits for a person: say `advance`.".to_owned(),
    }
}

/// Time left rather than time passed, and what happens then.
fn next(rollout: &Rollout, around: &Surroundings, now: Timestamp) -> String {
    let spec = &rollout.plan.spec;
    if let Some(told) = hooks(rollout, now) {
        return told;
    }
    match &rollout.stage {
        Stage::Advancing { failed: Some(why), .. } => {
            format!("The target could not be moved: {why}. Say `advance` to try again.")
        }
        Stage::Advancing { since, action, .. } => {
            let lasting = Period::between(*since, now);
            match rollout.progress_of(action) {
                Some(progress) => format!("The target was asked {lasting} ago: {}.", progress.why),
                None => format!("The target was asked {lasting} ago and has not answered."),
            }
        }
        Stage::Baking { phase, .. } => {
            let (needed, gate) = spec
                .phases
                .get(*phase)
                .map_or((Period::ZERO, Gate::Manual), |phase| (phase.bake, phase.gate));
            let left = needed.minus(rollout.bake.at(now));
            let stands = rollout.pause.is_some()
                || !rollout.holds.is_empty()
                || !rollout.decisions.is_empty()
                || around.freeze.is_some();
            if left == Period::ZERO && (stands || firing(rollout) > 0) {
                return format!("Has baked {needed}. It stands still until what keeps it from advancing is gone.");
            }
            let last = *phase + 1 == spec.phases.len();
            let then = match gate {
                _ if stands => "it stands still until what stands in its way is gone",
                _ if !rollout.open_signoffs().is_empty() => "its gate waits for people",
                Gate::Auto if last => "it is watched if it is healthy",
                Gate::Auto => "it goes on by itself if it is healthy",
                Gate::Manual => "its gate waits for a person",
            };
            format!("Bakes {left} more of {needed}, then {then}.")
        }
        Stage::AtGate { phase, .. } => at_gate(rollout, *phase, around, now),
        Stage::Watching { .. } => format!("Watched for {} more.", spec.watch.minus(rollout.bake.at(now))),
        Stage::RollingBack {
            since,
            stuck: Some(why),
            ..
        } => {
            format!("Rolling back for {} and stuck: {why}", Period::between(*since, now))
        }
        Stage::RollingBack { since, action, .. } => {
            let lasting = Period::between(*since, now);
            match rollout.progress_of(action) {
                Some(progress) => format!("Rolling back for {lasting}: {}.", progress.why),
                None => format!("Rolling back for {lasting}; zero has not been read back yet."),
            }
        }
        Stage::RolledBack { read_back, .. } => {
            format!("Zero was read back at {}. {}.", clock(read_back.at), read_back.how)
        }
        Stage::Completed { at } => format!("Completed at {}.", clock(*at)),
        Stage::Aborted { at, by, .. } => format!("Aborted by {by} at {}.", clock(*at)),
    }
}

/// How many alerts of this rollout fire and count.
pub fn firing(rollout: &Rollout) -> usize {
    let counting = |standing: &Standing| standing.blocks();
    rollout
        .alerts
        .values()
        .filter(|tracked| counting(&tracked.standing))
        .count()
}
