//! Owns the list of everything that can be said about a plan, each with its reason and its remedy.
//! Refuses a finding without an entry here: the code is a variant, so `plan explain` and the documentation can never lack one.

use super::diagnostic::Level;

/// What `tidegate plan explain` says about a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct CodeDoc {
    /// The code.
    pub code: Code,
    /// The level it usually has.
    pub level: Level,
    /// What it is called.
    pub title: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// How to put it right.
    pub fix: &'static str,
}

macro_rules! codes {
    ($($code:ident $level:ident $title:literal, $why:literal, $fix:literal;)+) => {
        /// The stable name of one kind of finding. A number is never given twice.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $title] $code),+
        }

        /// Every code, in the order of the numbers.
        pub const CODES: &[CodeDoc] = &[
            $(CodeDoc { code: Code::$code, level: Level::$level, title: $title, why: $why, fix: $fix }),+
        ];

        impl Code {
            /// The code as it is written: `P101`.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$code => stringify!($code)),+
                }
            }
        }
    };
}

impl Code {
    /// The code written as `word`, in upper or lower case.
    pub fn named(word: &str) -> Option<Self> {
        CODES
            .iter()
            .map(|doc| doc.code)
            .find(|code| code.word().eq_ignore_ascii_case(word))
    }

    /// What there is to say about it.
    pub const fn doc(self) -> &'static CodeDoc {
        // The table is written in the order of the variants.
        &CODES[self as usize]
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

codes! {
    P100 Error "not a YAML document",
        "The text cannot be read at all, holds more than one document, or is larger than any plan.",
        "Put the line right that the finding points at; a file carries one plan.";
    P101 Error "unknown key",
        "A misspelt key would otherwise be ignored in silence, and the plan would do less than its author believes.",
        "Use the key that is suggested, or take the line out.";
    P102 Error "reference to something that is not there",
        "A trigger, phase or decision names a severity, group or role that the plan does not define.",
        "Define it, or use the name that is suggested.";
    P103 Error "required key missing",
        "Without this key the plan cannot be carried out.",
        "Add the key; `tidegate plan schema` and docs/plan.md say what it takes.";
    P104 Error "wrong kind of value",
        "A list stands where text is wanted, a number where words are wanted, or the like.",
        "Write the kind of value that the finding names; numbers that are meant as text go in quotes.";
    P105 Error "not one of the possible values",
        "The key takes a fixed set of words, or one map with a fixed set of keys.",
        "Use one of the words that the finding lists.";
    P106 Error "empty list or text",
        "Something is needed here, and there is nothing.",
        "Fill it in.";
    P107 Error "not a usable name",
        "Names are typed in chat and on the command line and appear in ids, so they keep to few characters.",
        "Use letters, digits and `-`, beginning and ending with a letter or digit.";
    P108 Error "not a length of time",
        "Lengths of time carry their unit, so that nobody has to guess minutes or seconds.",
        "Write `90s`, `30m`, `6h`, `2d` or `1h30m`.";
    P109 Error "not a label matcher",
        "Triggers choose alerts the way Alertmanager does, by matchers on labels.",
        "Write `name=\"value\"`, with one of `=`, `!=`, `=~`, `!~`, and quote the whole matcher for YAML.";
    P110 Error "not a time of day",
        "A day is reported at one moment, on the clock of the plan's time zone.",
        "Write hours and minutes, each with two digits: `\"17:00\"`.";
    P113 Error "the same name twice",
        "Messages, commands and the log say only the name, so it must mean one thing.",
        "Rename one of them.";
    P114 Warning "listed twice",
        "The second mention has no effect, and another one was probably meant.",
        "Take one out, or write the one that was meant.";
    P120 Error "not a percentage",
        "A bare 25 might be a percentage or a ratio, and one of the two would be an outage.",
        "Write the unit: `25%`, with at most two decimals, at most `100%`.";
    P160 Error "trigger that nothing can fire",
        "Its matchers contradict one another, or what its scope implies, so it would look like protection and be none.",
        "Put the contradicting matcher right, or take the trigger out.";
    P161 Error "decision that nobody can take",
        "Every role that may decide has no members, so the default would always happen.",
        "Put people into one of the roles, or leave `by` out: then everybody who may roll back may decide.";
    P162 Warning "role without people",
        "A role that nobody has cannot be asked.",
        "Add members, or take the role out.";
    P163 Error "trigger without an equality matcher",
        "Matchers that only exclude, or only use patterns, also fit alerts that nobody has thought of yet.",
        "Add at least one `name=\"value\"`, such as the name or the severity of the alert.";
    P164 Error "pattern that matches everything",
        "A pattern such as `.*` or `.+` is no condition: it fits whatever the label says.",
        "Name the values: `severity=~\"critical|page\"`.";
    P165 Error "rollback by alerts of any service",
        "With `scope: any` the alert may have nothing to do with this rollout, and rolling back would not help.",
        "Use a severity whose action is `decide` or `log`, or leave `scope` out.";
    P166 Warning "alerts of any service may roll back by default",
        "If nobody answers the decision, an alert of another service returns this one to the old version.",
        "Use a severity whose decision has `default: hold`.";
    P167 Info "matcher that is implied",
        "The service and the environment of the plan are part of every trigger already.",
        "Take the matcher out.";
    P168 Error "trigger on the Watchdog",
        "The Watchdog fires always, on purpose, and is never a reason to act: the trigger would look like protection and be none.",
        "Take the trigger out; `alerts.watchdog` says what the Watchdog is needed for.";
    P170 Warning "no trigger",
        "Nothing can stop this rollout but a person who is looking.",
        "Add a trigger for the alerts of this service.";
    P171 Info "defined and never used",
        "It has no effect; perhaps another name was meant where it is needed.",
        "Use it, or take it out.";
    P201 Info "weight does not rise",
        "A planned lower or equal weight is an ordinary phase; it is pointed out because it is rarely meant.",
        "Nothing, if it is meant.";
    P202 Warning "jump larger than three times",
        "The next weight exposes more than three times as many users as have tried the new version so far.",
        "Add a phase in between.";
    P203 Warning "share that whole pods cannot make",
        "Pods are whole: the share is the nearest that their number can do, and messages say that one.",
        "Nothing, if it is meant; else choose weights that fit the number of pods, or another driver.";
    P204 Warning "large first step",
        "The first users are the test; more than a quarter of the traffic is many of them.",
        "Begin with a smaller weight.";
    P205 Warning "ends below 100%",
        "The last phase leaves part of the traffic on the old version for good.",
        "Add a phase with `weight: 100%`; nothing, if it is meant.";
    P206 Error "no phase carries traffic",
        "Every weight is 0%, so nothing is ever rolled out.",
        "Give at least one phase a weight above 0%.";
    P207 Warning "group in a phase without traffic",
        "At weight 0% groups are off too.",
        "Name the group in the first phase that carries traffic.";
    P208 Warning "group that drops out",
        "Its members were on the new version and go back to the old one when the next phase begins.",
        "Name the group in the following phases too, up to the one with 100%.";
    P209 Error "weight that the target cannot have",
        "A Service selects one colour or the other, so there is nothing between 0% and 100%.",
        "Use `httproute` or `deployment-replicas` for weights in between.";
    P212 Warning "no time to bake",
        "An automatic phase with `bake: 0s` is left before any alert can arrive.",
        "Give it at least the time that an alert needs: scrape, `for` and group_wait together.";
    P213 Warning "no watch after the last phase",
        "Once the last phase has baked, an alert no longer rolls back.",
        "Add `watch: 1h` or longer.";
    P214 Info "bake shorter than an alert needs",
        "With usual settings an alert takes a minute or more from the first bad scrape to its arrival here.",
        "Bake for several minutes.";
    P215 Error "old and new are the same",
        "A rollback would lead back to the version that it flees from.",
        "Name the version that runs today as the old one.";
    P216 Error "approval that nobody can give",
        "The gate asks for more people of a role than are in it, so it would never open.",
        "Add members to the role, or ask fewer.";
    P220 Error "way back that leaves the target as it is",
        "Zero read back from another rung ends the rollback, and what was raised would stay raised.",
        "Name the target of the plan in one of the rungs, best in the first.";
    P221 Error "no time for a rung",
        "The next rung would always be climbed at once.",
        "Give it at least a second: `within: 30s`.";
    P222 Info "hooks, and none on the way back",
        "What a hook did before a phase, such as stopping workers, stays done when the traffic goes back.",
        "Name the hooks that undo it under `rollback.hooks`; nothing, if there is nothing to undo.";
    P223 Error "command outside its directory",
        "Only programs below `hooks.directory` of the server's configuration are ever run.",
        "Put a script there that does it, and name that.";
    P224 Error "address that cannot be called",
        "Only `http` and `https` addresses without a user and a password are called, and only hosts that the server allows.",
        "Write `https://host/path`, and list the host under `egress.allow` of the server's configuration.";
    P225 Error "tries of what must not happen twice",
        "A hook that failed may have done half of its work; running it again by itself is right only where that is harmless.",
        "Make it so that twice is as good as once and write `idempotent: true`, or take `attempts` out.";
    P226 Error "no time for a hook",
        "It would always be too late, and the rollout would never go on.",
        "Give it the time that it needs at its slowest.";
    P227 Error "not a JSON pointer",
        "A pointer begins with `/`, with one `/` for each level: `/database/status`, `/items/0`.",
        "Write it so; the empty text means the whole answer.";
    P228 Error "logs of pods that are not there",
        "`podLogs` reads what the pods of the new version wrote, and neither the target nor a rung is in Kubernetes.",
        "Take `podLogs` out, or let a rung of the ladder name what runs the pods.";
    P229 Error "way back that destroys data",
        "What follows a rollback runs by itself, at night, and what it empties, drops or overwrites is gone.",
        "Take it out of `rollback.hooks`; a person does that, by a runbook, once it is known to be needed.";
    P231 Info "capacity may dip",
        "With a floor below 100% fewer pods than usual serve while versions change.",
        "Nothing, if it is meant; else leave `floor` out.";
    P240 Error "nobody can be paged",
        "Something in this plan may need a person at once, and no audience has a channel that reaches one.",
        "Add an audience with a channel of the server's configuration; `chat` and `log` wake nobody.";
    P242 Warning "decision that pages nobody",
        "The question is open only for a while, and nobody is woken to answer it.",
        "Add `page: true` to the severity.";
    P250 Error "commitment without one clock",
        "A commitment says by when people are told: after an incident, every so often, or each day.",
        "Give it exactly one of `afterIncident`, `every` and `daily`.";
    P251 Error "no such time zone",
        "Times of day, and times that people are told, would be those of another place.",
        "Use an IANA name, such as `Europe/Berlin` or `America/Los_Angeles`.";
    P252 Error "no time to keep a commitment",
        "A commitment that is due at once is missed at once.",
        "Give it the time that somebody can rely on, such as `5m`.";
    P253 Error "commitment to an audience that nothing reaches",
        "`chat` and `log` are read by people who look; nobody is told by them, so that it could never be kept.",
        "Give the audience a channel of the server's configuration.";
    P254 Warning "updates more often than people read",
        "An update every few minutes buries the pages among them, and a channel that is down for a moment misses it.",
        "Write `every: 15m` or longer.";
    P255 Error "`while` without `every`",
        "It says during which stretch updates come, and this commitment has none.",
        "Take it out, or use `every`.";
    P270 Error "secret in the plan",
        "Plans are copied, shown and stored for years. A secret that stood in one is no longer a secret.",
        "Take it out, replace it where it is used, and keep the new one in a file or the environment of the server.";
    P290 Info "shadow mode",
        "Automatic rollbacks are only announced.",
        "Write `mode: armed` when you trust the triggers.";
    P291 Warning "silence counts as health",
        "With `watchdog: none` a dead alert path looks exactly like a healthy service.",
        "Let Prometheus fire its Watchdog alert, route it here, and leave the key out.";
    P292 Error "no receiver, and a Watchdog is needed",
        "The Watchdog arrives through a receiver; without any, nothing would ever advance.",
        "Name the receivers that this plan relies on, or leave the key out for `default`.";
    P293 Warning "rollback on the first silence",
        "A restart of Prometheus or Alertmanager takes a minute, and would roll back production.",
        "Wait several minutes: `rollbackAfter: 10m`.";
    P294 Error "no time to decide",
        "Nobody can answer in no time, so the default would always happen.",
        "Give people time, or use the action that is meant.";
    P295 Info "an unanswered decision leaves the traffic",
        "With `default: hold` users stay on the new version for as long as nobody answers.",
        "Nothing, if it is meant; else `default: rollback`.";
    P296 Warning "both required and given",
        "A default makes sure that there is always a value, so nobody is ever asked.",
        "Take out `required` or `default`.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_finds_its_own_entry_and_is_found_by_its_name() {
        for doc in CODES {
            assert_eq!(doc.code.doc(), doc);
            assert_eq!(Code::named(&doc.code.word().to_lowercase()), Some(doc.code));
        }
        assert_eq!(Code::named("P999"), None);
    }

    #[test]
    fn the_table_is_in_the_order_of_the_numbers() {
        assert!(CODES.is_sorted_by_key(|doc| doc.code.word()));
    }

    #[test]
    fn every_text_is_a_sentence() {
        for doc in CODES {
            assert!(doc.why.ends_with('.') && doc.fix.ends_with('.'), "{}", doc.code);
            assert!(!doc.title.ends_with('.'), "{}", doc.code);
        }
    }
}
