use nebula_derive::action;

fn main() {}

/// Says something.
#[action(id = "Parse", version = "1.0", title = "Parse", effect = "pure")]
async fn parse(ctx: &ActionContext, input: u8) -> Result<u8, ActionError> {}
