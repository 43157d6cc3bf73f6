//! A token counts from when it is added until it is revoked or expires.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use tidegate::store::{NewToken, TokenKind};
use tidegate_rollout::{Entry, PersonId, Role};

use super::on_both;
use super::world::{World, after, noon};

on_both!(
    a_token_counts_until_it_is_revoked,
    a_session_ends_by_itself,
    a_session_ends_with_its_token,
    a_hash_is_there_once
);

fn new(first_byte: u8, kind: TokenKind, expires_at: Option<Timestamp>) -> NewToken {
    let mut hash = [0; 32];
    hash[0] = first_byte;
    NewToken {
        hash,
        kind,
        person: PersonId::new("mara"),
        roles: BTreeSet::from([Role::Admin, Role::Oncall]),
        expires_at,
        parent: None,
    }
}

fn said(number: u64) -> Entry {
    Entry {
        at: noon(),
        kind: "token-made".to_owned(),
        by: "admin".to_owned(),
        surface: None,
        text: format!("Token {number}."),
    }
}

async fn a_token_counts_until_it_is_revoked(world: World) -> Result<()> {
    let store = world.open().await?;
    let added = new(1, TokenKind::Token, None);
    let number = store.add_token(&added, said, noon()).await?;
    let found = store.token(&added.hash, after(9)).await?.context("it counts")?;
    ensure!((found.number, found.kind, found.created_at) == (number, TokenKind::Token, noon()));
    ensure!(found.person == added.person && found.roles == added.roles && found.expires_at.is_none());
    ensure!(store.tokens(TokenKind::Token, after(9)).await? == [found]);
    ensure!(store.tokens(TokenKind::Session, after(9)).await?.is_empty());
    ensure!(
        store
            .token(&new(2, TokenKind::Token, None).hash, noon())
            .await?
            .is_none()
    );
    ensure!(!store.revoke_token(number + 1, &said(0)).await? && store.revoke_token(number, &said(0)).await?);
    let told: Vec<_> = store
        .server_history(9)
        .await?
        .into_iter()
        .map(|(_, line)| line)
        .collect();
    ensure!(
        told == [said(number), said(0)],
        "what was done is told, and nothing else: {told:?}"
    );
    ensure!(store.token(&added.hash, noon()).await?.is_none());
    Ok(())
}

async fn a_session_ends_by_itself(world: World) -> Result<()> {
    let store = world.open().await?;
    let session = new(1, TokenKind::Session, Some(after(60)));
    store.add_token(&session, said, noon()).await?;
    let found = store.token(&session.hash, after(59)).await?.context("it counts")?;
    ensure!(found.kind == TokenKind::Session && found.expires_at == Some(after(60)));
    ensure!(store.token(&session.hash, after(60)).await?.is_none());
    Ok(())
}

async fn a_session_ends_with_its_token(world: World) -> Result<()> {
    let store = world.open().await?;
    let (one, other) = (new(1, TokenKind::Token, None), new(2, TokenKind::Token, None));
    let number = store.add_token(&one, said, noon()).await?;
    let kept = store.add_token(&other, said, noon()).await?;
    let session = |first_byte, parent| NewToken {
        parent: Some(parent),
        ..new(first_byte, TokenKind::Session, Some(after(60)))
    };
    let (its, another) = (session(3, number), session(4, kept));
    for session in [&its, &another] {
        store.add_token(session, said, noon()).await?;
    }
    let found = store.token(&its.hash, noon()).await?.context("it counts")?;
    ensure!(found.parent == Some(number));
    ensure!(store.revoke_token(number, &said(0)).await?);
    ensure!(
        store.token(&its.hash, noon()).await?.is_none(),
        "it ended with its token"
    );
    ensure!(store.token(&another.hash, noon()).await?.is_some());
    let late = store.add_token(&session(5, number), said, noon()).await;
    ensure!(late.is_err(), "no session opens with a token that is gone");
    ensure!(store.tokens(TokenKind::Session, noon()).await?.len() == 1);
    Ok(())
}

async fn a_hash_is_there_once(world: World) -> Result<()> {
    let store = world.open().await?;
    store.add_token(&new(1, TokenKind::Token, None), said, noon()).await?;
    ensure!(
        store
            .add_token(&new(1, TokenKind::Session, None), said, noon())
            .await
            .is_err()
    );
    ensure!(store.tokens(TokenKind::Session, noon()).await?.is_empty());
    Ok(())
}
