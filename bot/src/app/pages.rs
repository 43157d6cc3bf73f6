//! Owns the routes of the pages: what each is filled from, and what a pressed button becomes.
//! Refuses to word or decide: views word, and whatever changes something goes to the one dispatcher.

mod live;

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, COOKIE};
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use tidegate_rollout::command::Verb;
use tidegate_rollout::{Code, Rollout, RolloutId, Share, Surroundings};
use tracing::{error, warn};

use super::App;
use crate::channel::feed::Line;
use crate::chat::{Answer, Desk, DeskError, Request};
use crate::clock;
use crate::http::asked::{Form, Path};
use crate::http::{Auth, Caller, Guard, Routes};
use crate::pages::view::board::MOST_LINES;
use crate::pages::view::{Banner, CHAT_EVENTS, EVENTS, Reader, Seen, Theme};
use crate::pages::{self, Board, Chat, Confirm, Login, Pages, Press, RolloutPage, Sorry};
use crate::render::{self, TemplateFault};
use crate::store::StoreError;

/// The most rollouts that the first page reads.
const MOST: usize = 100;
/// The most lines of a log that a page reads.
const LINES: u32 = 200;

/// What the handlers work with.
#[derive(Clone)]
struct House {
    app: App,
    pages: Arc<Pages>,
}

/// The pages, their files and their streams.
pub(super) fn routes(routes: Routes, app: &App, guard: &Arc<Guard>, pages: Arc<Pages>) -> Routes {
    let streams = live::Streams::new(app.clone(), guard.clone());
    let house = House {
        app: app.clone(),
        pages,
    };
    routes
        .get("/", Auth::PERSON, board, house.clone())
        .get("/r/{id}", Auth::PERSON, rollout, house.clone())
        .get("/r/{id}/confirm/{verb}", Auth::PERSON, confirm, house.clone())
        .post("/r/{id}/do", Auth::PERSON, press, house.clone())
        .get("/chat", Auth::PERSON, chat, house.clone())
        .post("/chat", Auth::PERSON, say, house.clone())
        .get(EVENTS, Auth::PERSON, live::changes, streams.clone())
        .get(CHAT_EVENTS, Auth::PERSON, live::lines, streams)
        .get("/assets/{name}", Auth::Open, asset, house)
}

/// The sign-in page, for the room that signs people in. The second argument is what went wrong before.
pub(super) fn login(pages: Arc<Pages>) -> crate::http::login::Page {
    const HINT: &str = "No token yet? The first start wrote one to admin.token in the storage directory; with it, \
                        `tidegate token create` makes one for a person.";
    Arc::new(move |next, trouble| {
        let page = Login::new(next, HINT, clock::now());
        let page = match trouble {
            Some(trouble) => page.failed(Banner::failed(trouble, "Tokens are shown once, when they are made.")),
            None => page,
        };
        shown(pages.login(&page))
    })
}

/// Why there is no page.
enum Trouble {
    Desk(DeskError),
    Template(TemplateFault),
    NotFound(String),
}

impl From<DeskError> for Trouble {
    fn from(error: DeskError) -> Self {
        Self::Desk(error)
    }
}

impl From<TemplateFault> for Trouble {
    fn from(fault: TemplateFault) -> Self {
        Self::Template(fault)
    }
}

fn failed(tried: &'static str) -> impl FnOnce(StoreError) -> DeskError {
    move |source| DeskError::NothingDone {
        tried,
        source: source.into(),
    }
}

impl House {
    fn reader(caller: &Caller, headers: &HeaderMap) -> Reader {
        let cookies = headers.get(COOKIE).and_then(|value| value.to_str().ok());
        Reader {
            actor: caller.actor.clone(),
            theme: cookies.map(Theme::from_cookies).unwrap_or_default(),
        }
    }

    fn excuse(&self, trouble: Trouble, reader: &Reader) -> Response {
        let sorry = |status: StatusCode, title: &str, what: &str, hint: &str| {
            let page = Sorry::new(title, what, hint, Some(reader), clock::now());
            (status, shown(self.pages.sorry(&page))).into_response()
        };
        match trouble {
            Trouble::NotFound(what) => {
                let hint = "Every rollout that is known stands on the first page.";
                sorry(StatusCode::NOT_FOUND, "Not found", &what, hint)
            }
            Trouble::Desk(error) => {
                warn!(error = &error as &dyn std::error::Error, "Could not fill a page");
                let hint = "Traffic stays as it is. The page reads itself again, or try `tidegate rollout status`.";
                sorry(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "Not now",
                    "The store does not answer.",
                    hint,
                )
            }
            Trouble::Template(fault) => shown(Err(fault)),
        }
    }

    /// What the target was seen to carry since it was last changed.
    fn share(&self, rollout: &Rollout) -> Option<Share> {
        self.app.engine.share(rollout)
    }

    async fn find(&self, id: &str) -> Result<(Arc<Rollout>, Surroundings), Trouble> {
        let desk = self.app.dispatcher.desk();
        let found = desk.rollout(&RolloutId::new(id)).await?;
        let rollout = found.ok_or_else(|| Trouble::NotFound(format!("There is no rollout called {id}.")))?;
        let around = desk.around(&rollout).await?;
        Ok((rollout, around))
    }

    async fn rollout_page(&self, id: &str, reader: &Reader, now: Timestamp) -> Result<RolloutPage, Trouble> {
        let (rollout, around) = self.find(id).await?;
        let history = self.app.dispatcher.desk().history(&rollout.id, LINES).await?;
        let seen = Seen {
            rollout: &rollout,
            around: &around,
            share: self.share(&rollout),
        };
        Ok(RolloutPage::of(&seen, &history, Some(reader), now))
    }

    async fn board_page(&self, reader: &Reader, now: Timestamp) -> Result<Board, Trouble> {
        let desk = self.app.dispatcher.desk();
        let mut rollouts = desk.active();
        rollouts.reverse();
        // What rolls back is shown however many others are under way.
        rollouts.sort_by_key(|rollout| !rollout.is_latched());
        rollouts.truncate(MOST);
        let newest = desk.newest(MOST as u32).await?;
        rollouts.extend(newest.into_iter().filter(|rollout| rollout.is_final()));
        let arounds = desk.arounds(&rollouts, now).await?;
        let seen: Vec<Seen<'_>> = rollouts
            .iter()
            .zip(&arounds)
            .map(|(rollout, around)| Seen {
                rollout,
                around,
                share: self.share(rollout),
            })
            .collect();
        let store = self.app.engine.store();
        let freezes = store.freezes().await.map_err(failed("read the freezes"))?;
        let few = u32::try_from(MOST_LINES).unwrap_or(u32::MAX);
        let letters = store.dead_letters(few).await.map_err(failed("read the dead letters"))?;
        let unsaid = store
            .count_dead_letters()
            .await
            .map_err(failed("count the dead letters"))?;
        let log = store
            .server_history(few)
            .await
            .map_err(failed("read the server's log"))?;
        let board = Board::of(&seen, &self.server(now), &freezes, Some(reader), now);
        let away = self.app.engine.doors().turned_away(now);
        Ok(board
            .unsaid(&letters, unsaid, now)
            .turned_away(&away)
            .server_log(&log, now))
    }

    /// What is known of the alert path, over every receiver.
    fn server(&self, now: Timestamp) -> Surroundings {
        let path = self.app.engine.path();
        let names: Vec<String> = path.all().into_keys().collect();
        let (watchdog_seen, poll) = path.over(&names);
        Surroundings {
            watchdog_seen,
            poll,
            watchdog_fresh: self.app.current.get().alerts.watchdog_fresh,
            ..Surroundings::calm(now)
        }
    }

    fn chat_page(&self, reader: &Reader, now: Timestamp) -> Chat {
        let (lines, _) = self.app.engine.feed().after(0);
        Chat::of(&lines, &self.app.replica, Some(reader), now)
    }
}

/// A page, or the plain words that are left when even its template fails.
fn shown(page: Result<axum::response::Html<String>, TemplateFault>) -> Response {
    match page {
        Ok(page) => page.into_response(),
        Err(fault) => {
            error!(%fault, "A page could not be shown");
            let words = "This page could not be shown. Chat, CLI and API work on.\n";
            (StatusCode::INTERNAL_SERVER_ERROR, words).into_response()
        }
    }
}

async fn board(State(house): State<House>, caller: Caller, headers: HeaderMap) -> Response {
    let reader = House::reader(&caller, &headers);
    match house.board_page(&reader, clock::now()).await {
        Ok(page) => shown(house.pages.board(&page)),
        Err(trouble) => house.excuse(trouble, &reader),
    }
}

async fn rollout(State(house): State<House>, Path(id): Path<String>, caller: Caller, headers: HeaderMap) -> Response {
    let reader = House::reader(&caller, &headers);
    match house.rollout_page(&id, &reader, clock::now()).await {
        Ok(page) => shown(house.pages.rollout(&page)),
        Err(trouble) => house.excuse(trouble, &reader),
    }
}

async fn confirm(
    State(house): State<House>,
    Path((id, verb)): Path<(String, String)>,
    caller: Caller,
    headers: HeaderMap,
) -> Response {
    let reader = House::reader(&caller, &headers);
    let (rollout, around) = match house.find(&id).await {
        Ok(found) => found,
        Err(trouble) => return house.excuse(trouble, &reader),
    };
    let seen = Seen {
        rollout: &rollout,
        around: &around,
        share: house.share(&rollout),
    };
    let now = clock::now();
    let page = match verb.as_str() {
        "rollback" => Confirm::rollback(&seen, Some(&reader), now),
        "advance" => Confirm::advance(&seen, Some(&reader), now),
        _ => {
            let what = "That is not asked once more; it is done at once.".to_owned();
            return house.excuse(Trouble::NotFound(what), &reader);
        }
    };
    shown(house.pages.confirm(&page))
}

async fn press(
    State(house): State<House>,
    Path(id): Path<String>,
    caller: Caller,
    headers: HeaderMap,
    Form(press): Form<Press>,
) -> Response {
    let reader = House::reader(&caller, &headers);
    let (status, banner) = match pressed(&house, &id, &press, &caller).await {
        Ok(answer) => (status_of(&answer), Banner::answered(&answer)),
        Err(error) => {
            warn!(
                error = &error as &dyn std::error::Error,
                "A button could not be answered"
            );
            let hint = "Press it again in a moment. `tidegate rollout status` shows where it stands.";
            (StatusCode::SERVICE_UNAVAILABLE, Banner::failed(capital(&error), hint))
        }
    };
    match house.rollout_page(&id, &reader, clock::now()).await {
        Ok(page) => (status, shown(house.pages.rollout(&page.answering(banner)))).into_response(),
        Err(trouble) => house.excuse(trouble, &reader),
    }
}

async fn pressed(house: &House, id: &str, press: &Press, caller: &Caller) -> Result<Answer, DeskError> {
    let order = press.generation().and_then(|seen| Ok((seen, press.command()?)));
    let (seen, command) = match order {
        Ok(order) => order,
        Err(refusal) => return Ok(refusal.into()),
    };
    let request = Request {
        actor: caller.actor.clone(),
        verb: Verb::Do(command),
        rollout: Some(id.to_owned()),
        place: None,
        seen,
        key: None,
        not_after: None,
    };
    house.app.dispatcher.dispatch(request, clock::now()).await
}

fn status_of(answer: &Answer) -> StatusCode {
    match answer.code {
        _ if answer.ok => StatusCode::OK,
        Some(Code::R301 | Code::R303) => StatusCode::FORBIDDEN,
        Some(_) | None => StatusCode::CONFLICT,
    }
}

fn capital(error: &DeskError) -> String {
    let text = error.to_string();
    let mut chars = text.chars();
    chars
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

async fn chat(State(house): State<House>, caller: Caller, headers: HeaderMap) -> Response {
    let reader = House::reader(&caller, &headers);
    shown(house.pages.chat(&house.chat_page(&reader, clock::now())))
}

/// What is typed into the chat.
#[derive(Deserialize)]
struct Typed {
    text: String,
}

async fn say(State(house): State<House>, caller: Caller, headers: HeaderMap, Form(typed): Form<Typed>) -> Response {
    let now = clock::now();
    let actor = caller.in_chat();
    let line = |by: &str, kind: &str, rollout: Option<String>, text: &str| Line {
        number: 0,
        at: now,
        by: by.to_owned(),
        kind: kind.to_owned(),
        loudness: "everything".to_owned(),
        rollout,
        text: render::visible(text).into_owned(),
    };
    let feed = house.app.engine.feed();
    feed.add(line(
        actor.person.as_str(),
        "said",
        None,
        &render::one_line(&typed.text),
    ));
    match house.app.dispatcher.said(actor, &typed.text, None, now).await {
        Ok(answer) => {
            feed.add(line("tidegate", "answer", answer.rollout.clone(), &answer.in_words()));
            let prefix = &house.app.current.get().web.route_prefix;
            Redirect::to(&format!("{prefix}/chat#say")).into_response()
        }
        Err(error) => {
            warn!(
                error = &error as &dyn std::error::Error,
                "A line of the chat could not be answered"
            );
            let reader = House::reader(&caller, &headers);
            let banner = Banner::failed(capital(&error), "Say it again in a moment.");
            let page = house.chat_page(&reader, now).answering(banner, &typed.text);
            (StatusCode::SERVICE_UNAVAILABLE, shown(house.pages.chat(&page))).into_response()
        }
    }
}

async fn asset(State(house): State<House>, Path(name): Path<String>) -> Response {
    match pages::asset(&name) {
        Some(asset) => {
            let headers = [(CONTENT_TYPE, asset.media), (CACHE_CONTROL, asset.cache)];
            (headers, asset.bytes.into_owned()).into_response()
        }
        None => {
            let page = Sorry::new("Not found", "There is no such file.", "", None, clock::now());
            (StatusCode::NOT_FOUND, shown(house.pages.sorry(&page))).into_response()
        }
    }
}
