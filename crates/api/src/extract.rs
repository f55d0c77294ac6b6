//! What handlers take from a request, each with a clear refusal.

use axum::{
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::request::Parts,
};
use bytes::{Bytes, BytesMut};
use http::{StatusCode, header};
use http_body_util::BodyExt as _;
use nebula_core::{ByteSize, SecretString, Timestamp};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

use crate::{api::Shared, problem::Problem};

/// A time as requests give it: RFC 3339.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Time(pub(crate) Timestamp);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

/// A secret as requests give it: a text that shows nowhere.
#[derive(Debug)]
pub(crate) struct Hidden(pub(crate) SecretString);

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // What is no text may be the secret all the same, and is not told back.
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self(text.into())),
            _ => Err(serde::de::Error::custom("this is a text")),
        }
    }
}

/// The parts of the path.
#[derive(Debug)]
pub(crate) struct At<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Shared> for At<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, Problem> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(at)) => Ok(Self(at)),
            Err(rejection) => {
                Err(Problem::bad("BAD_PATH", rejection.body_text())
                    .hint("look at the ids in the path"))
            }
        }
    }
}

/// The query, each parameter once and none that is not known.
#[derive(Debug)]
pub(crate) struct Asked<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<Shared> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(rejection) => Err(Problem::bad("BAD_QUERY", rejection.body_text())
                .hint("/api/v1/openapi.json lists the parameters")),
        }
    }
}

/// A body in JSON.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Shared> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &Shared) -> Result<Self, Problem> {
        let kind = media_type(request.headers());
        if kind.as_deref() != Some("application/json") {
            return Err(unsupported(kind.as_deref(), "application/json"));
        }
        let bytes = whole(request, state).await?;
        json(&bytes).map(Self)
    }
}

/// A value from JSON text.
pub(crate) fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let read = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        let message = match path.as_str() {
            "." => inner.to_string(),
            path => format!("{path}: {inner}"),
        };
        let code = match inner.is_data() {
            true => "BAD_BODY",
            false => "BAD_JSON",
        };
        Problem::bad(code, message).hint("/api/v1/openapi.json has the schema of this body")
    })?;
    let rest = reader.end();
    rest.map_err(|error| Problem::bad("BAD_JSON", error.to_string()))?;
    Ok(read)
}

/// The media type, in lower case and without parameters.
pub(crate) fn media_type(headers: &http::HeaderMap) -> Option<String> {
    let mut all = headers.get_all(header::CONTENT_TYPE).iter();
    let text = all.next()?.to_str().ok()?;
    // Two of them mean two things to two readers.
    if all.next().is_some() {
        return None;
    }
    let kind = text.split(';').next().unwrap_or(text);
    Some(kind.trim().to_ascii_lowercase())
}

pub(crate) fn unsupported(found: Option<&str>, wanted: &str) -> Problem {
    let message = match found {
        Some(found) => format!("the body is {found}, and this takes {wanted}"),
        None => format!("the request does not say what its body is; this takes {wanted}"),
    };
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "UNSUPPORTED_MEDIA_TYPE",
        message,
    )
    .hint("set one Content-Type")
}

/// The whole body, within its limits of size and time.
pub(crate) async fn whole(request: Request, state: &Shared) -> Result<Bytes, Problem> {
    whole_within(request, state, state.config().max_body).await
}

/// The same with a limit of its own.
pub(crate) async fn whole_within(
    request: Request,
    state: &Shared,
    max_body: ByteSize,
) -> Result<Bytes, Problem> {
    let config = state.config();
    let max_body = max_body.min(config.max_body);
    let limit = max_body.as_u64();
    let too_large = || {
        let message = format!("the body is larger than max_body, which is {max_body}");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE", message)
            .hint("send less, or have the operator raise the limit")
    };
    let said = request.headers().get(header::CONTENT_LENGTH);
    let said = said.and_then(|said| said.to_str().ok()?.parse::<u64>().ok());
    if said.is_some_and(|said| said > limit) {
        return Err(too_large());
    }
    let mut body = request.into_body();
    let read = async {
        let mut all = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| {
                Problem::bad("BODY_CUT", format!("the body broke off: {error}"))
            })?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if (all.len() + data.len()) as u64 > limit {
                return Err(too_large());
            }
            all.extend_from_slice(&data);
        }
        Ok(all.freeze())
    };
    tokio::select! {
        biased;
        read = read => read,
        () = state.clock.sleep(config.body_timeout) => {
            let after = nebula_core::duration_text(config.body_timeout);
            let message = format!("the body had not arrived after {after}");
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "BODY_TOO_SLOW", message))
        }
    }
}
