//! The app in Slack: its token, its workspace, its scopes, its channels, and what time it is there.

use anyhow::Result;
use serde_json::json;
use tidegate_tests::ports::Port;

use super::house::House;

#[tokio::test]
async fn each_thing_that_the_app_lacks_is_one_finding() -> Result<()> {
    let house = House::new().await?;
    let all = ["commands", "chat:write", "channels:history", "groups:history"];
    for (lacking, level, without) in [
        ("commands", "fail", "nobody can use the slash command"),
        ("chat:write", "fail", "nothing can be said"),
        ("channels:history", "warn", "said twice"),
        ("groups:history", "warn", "in a private channel"),
    ] {
        let rest: Vec<&'static str> = all.into_iter().filter(|scope| *scope != lacking).collect();
        house.slack.scopes(&rest);
        let said = house.look().await?;
        said.finds(level, "slack.no-scope", without, &format!("Add the scope `{lacking}`"));
    }
    house.slack.scopes(&all);

    house.slack.invite(false);
    let said = house.look().await?;
    said.finds(
        "fail",
        "slack.not-in-channel",
        "channel `releases`",
        "/invite @tidegate",
    );
    house.slack.invite(true);
    let said = house
        .look_at(|settings| settings["channels"]["releases"]["slack"]["channel"] = "C0NOWHERE".into())
        .await?;
    said.finds(
        "fail",
        "slack.not-in-channel",
        "channel_not_found",
        "channels.releases.slack.channel",
    );

    let said = house
        .look_at(|settings| settings["slack"]["workspaces"] = json!(["T0OTHER"]))
        .await?;
    said.finds(
        "fail",
        "slack.elsewhere",
        "tidegate in Acme (T0001)",
        "Add T0001 to `slack.workspaces`",
    );
    house.slack.token("xoxb-another-one");
    let said = house.look().await?;
    said.finds("fail", "slack.no-token", "invalid_auth", "slack.token_file");
    house.slack.token(tidegate_tests::slack::TOKEN);
    let nobody = Port::reserve()?.url();
    let said = house
        .look_at(|settings| settings["slack"]["api_url"] = nobody.into())
        .await?;
    said.finds("fail", "slack.unreachable", "cannot be reached", "slack.api_url");

    house.slack.clock_ahead(-312);
    let said = house.look().await?;
    said.finds(
        "fail",
        "clock.apart",
        "s behind this machine; 5 s are tolerated",
        "timedatectl set-ntp true",
    );
    house.slack.clock_ahead(3);
    house.look().await?.finds_nothing();
    Ok(())
}
