//! Owns what time and word do to commitments: an update falls due and is said, word of it comes, or it was missed.
//! Refuses to touch traffic: what is missed is said aloud, holds nothing and moves nothing.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::commitment::{Happened, Incident, Lapse, Occasion, Track};
use crate::ids::NoticeId;
use crate::notice::{About, Bulletin, Counts, Notice, NoticeKind, clock, cut};
use crate::period::Period;
use crate::plan::{Audience, Clock, Commitment, During, Hears};
use crate::planted::{self, Bug};
use crate::rollout::Stage;

use super::Work;

/// A message has so long on its way before its update counts as missed; one that comes more often has until the next.
pub const GRACE: Period = Period::minutes(5);

/// An update that comes more often would be all that is ever said.
const SHORTEST: Period = Period::seconds(1);

/// So much of what happened is kept for the next update.
const REMEMBERED: usize = 12;

/// So many notices can be the first word of one incident; the first of them are enough.
const WORDS: usize = 16;

/// Brings every commitment up to now. Runs at the end of every step, so that it sees what the step says.
pub(super) fn mind(work: &mut Work<'_>) {
    let plan = std::sync::Arc::clone(&work.next.plan);
    if plan.spec.commitments.is_empty() {
        return;
    }
    remember(work);
    let news = incident(work);
    for (name, commitment) in &plan.spec.commitments {
        match commitment.clock() {
            Some(Clock::AfterIncident(within)) => first_word(work, name, commitment, within, news),
            Some(clock @ Clock::Every(_, during)) => {
                let runs = holds(work, during);
                strike(work, name, commitment, clock, runs);
            }
            Some(clock @ Clock::Daily(_)) => {
                let runs = holds(work, During::Rollout);
                strike(work, name, commitment, clock, runs);
            }
            None => {}
        }
    }
}

/// The message was sent: whoever waited for it was told.
pub(super) fn told(work: &mut Work<'_>, notice: &NoticeId, channel: &str, at: Timestamp) {
    let names: Vec<String> = work.next.commitments.tracks.keys().cloned().collect();
    for name in names {
        let Some(mut track) = work.next.commitments.tracks.get(&name).cloned() else {
            continue;
        };
        let Some(occasion) = track.open.as_mut() else {
            continue;
        };
        if !occasion.words.contains(notice) || at > occasion.until {
            continue;
        }
        let (reached, waiting): (Vec<String>, Vec<String>) = std::mem::take(&mut occasion.waiting)
            .into_iter()
            .partition(|audience| work.next.reaches(channel, audience));
        if reached.is_empty() {
            continue;
        }
        occasion.waiting = waiting;
        let text = format!(
            "Commitment {name}, due {}: {} told on {channel} by {notice}.",
            clock(occasion.due),
            reached.join(", ")
        );
        if occasion.waiting.is_empty() {
            track.open = None;
            track.lapse = None;
            track.kept += 1;
        }
        work.next.commitments.tracks.insert(name, track);
        work.note("commitment-kept", "tidegate".to_owned(), text);
    }
}

/// The wall clock went back: what was due in an hour is due in an hour still. A time of day stays what it is.
pub(super) fn returned(work: &mut Work<'_>, away_since: Timestamp) {
    let back = Period::between(work.now, away_since).duration();
    let earlier = |at: Timestamp| at.saturating_sub(back).unwrap_or(Timestamp::MIN);
    let plan = std::sync::Arc::clone(&work.next.plan);
    for (name, track) in &mut work.next.commitments.tracks {
        let clock = plan.spec.commitments.get(name).and_then(Commitment::clock);
        if let Some(Clock::AfterIncident(_) | Clock::Every(..)) = clock {
            track.next = track.next.map(earlier);
        }
        if planted::on(Bug::UpdateSaidTwice) && track.said_at.is_some() {
            (track.next, track.number) = (Some(work.now), track.number.saturating_sub(1));
        }
        if let Some(occasion) = &mut track.open {
            (occasion.due, occasion.until) = (earlier(occasion.due), earlier(occasion.until));
        }
    }
}

/// What the step says is told once more by the next update.
fn remember(work: &mut Work<'_>) {
    let said = work.notices.iter().map(|notice| Happened {
        at: notice.at,
        text: cut(&notice.kind.sentence(&notice.about)),
    });
    let happened = &mut work.next.commitments.happened;
    happened.extend(said);
    let surplus = happened.len().saturating_sub(REMEMBERED);
    happened.drain(..surplus);
}

/// Notes that something is wrong, or is no more; answers whether that is news which people wait for.
fn incident(work: &mut Work<'_>) -> bool {
    let before = work.next.commitments.incident;
    if !work.next.is_in_incident() {
        work.next.commitments.incident = None;
        return false;
    }
    let rolling_back = matches!(work.next.stage, Stage::RollingBack { .. });
    let news = before.is_none_or(|incident| rolling_back && !incident.rolling_back);
    if news {
        work.next.commitments.incident = Some(Incident {
            since: work.now,
            rolling_back,
        });
    }
    news
}

fn holds(work: &Work<'_>, during: During) -> bool {
    !work.next.is_final()
        && match during {
            During::Rollout => true,
            During::Cutover => work.next.is_in_cutover(),
            During::Incident => work.next.commitments.incident.is_some(),
        }
}

/// The page about an incident is the first word of it, once it was sent.
fn first_word(work: &mut Work<'_>, name: &str, commitment: &Commitment, within: Period, news: bool) {
    let pages = |notice: &Notice| {
        let missed = matches!(notice.kind, NoticeKind::CommitmentMissed { .. });
        notice.kind.loudness() == Hears::Pages && !missed
    };
    let said: Vec<&Notice> = work.notices.iter().filter(|notice| pages(notice)).collect();
    let words: Vec<NoticeId> = said.iter().map(|notice| notice.id.clone()).collect();
    // Whom a plan spares this severity, nobody owes word of it.
    let audiences = &work.next.plan.spec.audiences;
    let owed = |name: &&String| {
        let audience = audiences.get(*name);
        said.is_empty() || audience.is_none_or(|audience| said.iter().any(|notice| audience.wants(notice)))
    };
    let waiting: Vec<String> = commitment.to.iter().filter(owed).cloned().collect();
    let now = work.now;
    let Some(mut track) = track(work, name, news) else {
        return;
    };
    // One that is owed already is due earlier, and word of this is word of that.
    if news && track.open.is_none() && !waiting.is_empty() {
        let due = later(now, within);
        track.number += 1;
        track.open = Some(Occasion {
            due,
            until: due,
            waiting,
            words: Vec::new(),
        });
    }
    if let Some(occasion) = &mut track.open {
        let room = WORDS.saturating_sub(occasion.words.len());
        occasion.words.extend(words.into_iter().take(room));
    }
    keep(work, name, track);
    judge(work, name, Clock::AfterIncident(within));
}

/// A clock that strikes again and again while `runs`.
fn strike(work: &mut Work<'_>, name: &str, commitment: &Commitment, clock: Clock, runs: bool) {
    judge(work, name, clock);
    let Some(mut track) = track(work, name, runs) else {
        return;
    };
    let now = work.now;
    let first = match track.next {
        Some(first) if runs && first <= now => first,
        Some(_) if runs => return,
        Some(_) | None => {
            let zone = work.next.plan.zone();
            track.next = if runs { after(clock, now, &zone) } else { None };
            return keep(work, name, track);
        }
    };
    let struck = struck(clock, first, now, &work.next.plan.zone());
    let until = later(struck.last, grace(clock));
    // By the clock of one replica the word before may still come in time when the next is due by that of another.
    let overtaken = track.open.take();
    track.number = track.number.saturating_add(struck.count);
    track.next = struck.next;
    keep(work, name, track.clone());
    let bulletin = Box::new(Bulletin::of(&work.next, work.around, name, now));
    let counts = Counts::of(&work.next, now);
    let kind = match clock {
        Clock::Daily(_) => NoticeKind::Report { bulletin, counts },
        Clock::AfterIncident(_) | Clock::Every(..) => NoticeKind::Update(bulletin),
    };
    let id = work.say_to(&commitment.to, kind);
    track.said_at = Some(now);
    let late = until <= now;
    if planted::on(Bug::WordTakenForGranted) {
        track.kept += 1;
    } else if !late {
        track.open = Some(Occasion {
            due: struck.last,
            until,
            waiting: commitment.to.clone(),
            words: vec![id],
        });
    }
    keep(work, name, track);
    // Of several times that passed while nobody watched, only the last is said; the others were missed.
    let passed = if late { struck.count } else { struck.count - 1 };
    let times = passed + u32::from(overtaken.is_some());
    if times > 0 {
        let lapse = Lapse {
            due: overtaken.map_or(first, |occasion| occasion.due.min(first)),
            to: commitment.to.clone(),
        };
        let why = "nobody watched then: the server was away, or its clock jumped";
        miss(work, name, clock, lapse, times, why.to_owned());
    }
}

/// The times at which a clock struck, from the first that nobody has answered yet until now.
struct Struck {
    last: Timestamp,
    count: u32,
    next: Option<Timestamp>,
}

fn struck(clock: Clock, first: Timestamp, now: Timestamp, zone: &TimeZone) -> Struck {
    if let Clock::Every(every, _) = clock {
        let every = every.max(SHORTEST);
        let more = Period::between(first, now).as_millis() / every.as_millis();
        let last = later(first, Period::millis(more.saturating_mul(every.as_millis())));
        return Struck {
            last,
            count: u32::try_from(more).unwrap_or(u32::MAX - 1) + 1,
            next: after(clock, last, zone),
        };
    }
    let (mut last, mut count) = (first, 1);
    loop {
        let next = after(clock, last, zone);
        match next.filter(|next| *next <= now) {
            Some(struck) => (last, count) = (struck, count + 1),
            None => return Struck { last, count, next },
        }
    }
}

/// When a clock strikes next after `from`.
fn after(clock: Clock, from: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    match clock {
        Clock::AfterIncident(_) => None,
        Clock::Every(every, _) => Some(later(from, every.max(SHORTEST))),
        Clock::Daily(time) => time.next_after(from, zone),
    }
}

/// How long word may be on its way.
fn grace(clock: Clock) -> Period {
    match clock {
        Clock::AfterIncident(_) => Period::ZERO,
        Clock::Every(every, _) => every.max(SHORTEST).min(GRACE),
        Clock::Daily(_) => GRACE,
    }
}

/// What was due and has not been told by now was missed, and that is said: once.
fn judge(work: &mut Work<'_>, name: &str, clock: Clock) {
    let Some(mut track) = track(work, name, false) else {
        return;
    };
    let Some(occasion) = track.open.take_if(|occasion| occasion.until <= work.now) else {
        return;
    };
    keep(work, name, track);
    let lapse = Lapse {
        due: occasion.due,
        to: occasion.waiting,
    };
    let audiences = lapse
        .to
        .iter()
        .filter_map(|name| work.next.plan.spec.audiences.get(name));
    let channels: Vec<&str> = audiences
        .flat_map(|audience| &audience.channels)
        .filter(|channel| !Audience::READ_BY_LOOKING.contains(&channel.as_str()))
        .map(String::as_str)
        .collect();
    let why = format!("no message of it was sent on {} in time", channels.join(", "));
    miss(work, name, clock, lapse, 1, why);
}

fn miss(work: &mut Work<'_>, name: &str, clock: Clock, lapse: Lapse, times: u32, why: String) {
    let Some(mut track) = track(work, name, false) else {
        return;
    };
    track.missed = track.missed.saturating_add(times);
    track.lapse = Some(lapse.clone());
    keep(work, name, track);
    if planted::on(Bug::CommitmentMissedSilently) {
        return;
    }
    let kind = NoticeKind::CommitmentMissed {
        name: name.to_owned(),
        promised: clock.to_string(),
        audiences: lapse.to,
        due: lapse.due,
        times,
        why,
        zone: work.next.plan.spec.timezone.clone(),
    };
    // The next update tells of it too.
    let text = cut(&kind.sentence(&About::of(&work.next)));
    work.next.commitments.happened.push(Happened { at: work.now, text });
    work.say(kind);
}

/// How a commitment stands; where it has never been asked for, from the beginning if `begins`.
fn track(work: &Work<'_>, name: &str, begins: bool) -> Option<Track> {
    let known = work.next.commitments.tracks.get(name).cloned();
    known.or_else(|| begins.then(Track::default))
}

fn keep(work: &mut Work<'_>, name: &str, track: Track) {
    work.next.commitments.tracks.insert(name.to_owned(), track);
}

fn later(at: Timestamp, by: Period) -> Timestamp {
    at.saturating_add(by.duration()).unwrap_or(Timestamp::MAX)
}
