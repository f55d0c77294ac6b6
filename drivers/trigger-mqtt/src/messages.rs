//! One session with a broker.

use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::{SinkExt as _, StreamExt as _};
use nebula_core::{Clock, ExposeSecret as _};
use nebula_dial::Stream;
use nebula_ports::{
    ErrorKind, Handing, Message, Messages, Payload, PortError, Result, Subscribing,
};
use rumqttc::mqttbytes::{
    QoS,
    v4::{
        Codec, Connect, ConnectReturnCode, Packet, PubAck, Publish, Subscribe, SubscribeFilter,
        SubscribeReasonCode, Unsubscribe,
    },
};
use tokio_util::codec::Framed;

use crate::connection::refused;

/// The largest packet that is read.
const MAX_PACKET: usize = 16 << 20;
/// How long a broker waits at least before it takes a silent client for gone; half as often it is told.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// The number of the packet that subscribes; there is one.
const SUBSCRIBES: u16 = 1;

/// What may be otherwise at the next try.
pub(crate) fn over(message: &str) -> PortError {
    PortError::new(ErrorKind::Unavailable, "trigger-mqtt", "listen", message)
}

/// A connection that listens.
pub(crate) struct Session {
    framed: Framed<Box<dyn Stream>, Codec>,
    clock: Arc<dyn Clock>,
    names: Vec<String>,
    /// What came while something else was waited for.
    early: VecDeque<Publish>,
    /// A question whether the broker is there has no answer yet.
    asked: bool,
    /// When the broker last heard of us.
    told: Duration,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// Logs in and subscribes. A broker that knows this client takes up where it was.
    pub(crate) async fn begin(
        stream: Box<dyn Stream>,
        wanted: &Subscribing,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let codec = Codec {
            max_incoming_size: MAX_PACKET,
            max_outgoing_size: MAX_PACKET,
        };
        let mut session = Self {
            framed: Framed::new(stream, codec),
            told: clock.monotonic(),
            clock,
            names: wanted.names.clone(),
            early: VecDeque::new(),
            asked: false,
        };
        let (clean, qos) = match wanted.handing {
            Handing::Once => (true, QoS::AtMostOnce),
            Handing::UntilAcknowledged => (false, QoS::AtLeastOnce),
        };
        let mut connect = Connect::new(&wanted.consumer);
        connect.clean_session = clean;
        connect.keep_alive = u16::try_from(KEEP_ALIVE.as_secs()).unwrap_or(u16::MAX);
        if let Some((user, password)) = &wanted.login {
            connect.set_login(user, password.expose_secret());
        }
        session.send(Packet::Connect(connect)).await?;
        match session.receive().await? {
            Packet::ConnAck(answer) => match answer.code {
                ConnectReturnCode::Success => {}
                ConnectReturnCode::ServiceUnavailable => {
                    return Err(over("the broker does not take clients now"));
                }
                ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized => {
                    return Err(refused("the broker refuses the user or the password"));
                }
                code => return Err(refused(format!("the broker refuses the client: {code:?}"))),
            },
            _ => return Err(refused("what is there is no broker of MQTT 3.1.1")),
        }
        let filters = wanted.names.iter().map(|path| SubscribeFilter {
            path: path.clone(),
            qos,
        });
        let mut subscribe = Subscribe::new_many(filters);
        subscribe.pkid = SUBSCRIBES;
        session.send(Packet::Subscribe(subscribe)).await?;
        loop {
            match session.receive().await? {
                Packet::SubAck(answer) => {
                    let refusal =
                        |code: &SubscribeReasonCode| matches!(code, SubscribeReasonCode::Failure);
                    return match answer.return_codes.iter().position(refusal) {
                        None => Ok(session),
                        Some(place) => {
                            let name = wanted.names.get(place).map_or("?", String::as_str);
                            Err(refused(format!(
                                "the broker refuses the topic filter `{name}`"
                            )))
                        }
                    };
                }
                // What waited for this client comes at once.
                Packet::Publish(publish) => session.early.push_back(publish),
                _ => {}
            }
        }
    }

    async fn send(&mut self, packet: Packet) -> Result<()> {
        self.told = self.clock.monotonic();
        let sent = self.framed.send(packet).await;
        sent.map_err(|error| over(&format!("the connection broke: {error}")))
    }

    async fn receive(&mut self) -> Result<Packet> {
        match self.framed.next().await {
            Some(Ok(packet)) => Ok(packet),
            Some(Err(error)) => Err(over(&format!("the connection broke: {error}"))),
            None => Err(over("the broker has closed the connection")),
        }
    }
}

#[async_trait]
impl Messages for Session {
    async fn next(&mut self) -> Result<Message> {
        if let Some(publish) = self.early.pop_front() {
            return Ok(message(publish));
        }
        loop {
            let silent = self.clock.monotonic().saturating_sub(self.told);
            let pause = (KEEP_ALIVE / 2).saturating_sub(silent);
            let clock = Arc::clone(&self.clock);
            // Both may be dropped: the codec keeps what it has read.
            let packet = tokio::select! {
                biased;
                packet = self.receive() => packet?,
                () = clock.sleep(pause) => {
                    if std::mem::replace(&mut self.asked, true) {
                        return Err(over("the broker is silent"));
                    }
                    self.send(Packet::PingReq).await?;
                    continue;
                }
            };
            match packet {
                Packet::Publish(publish) => return Ok(message(publish)),
                Packet::PingResp => self.asked = false,
                _ => {}
            }
        }
    }

    async fn acknowledge(&mut self, receipt: u64) -> Result<()> {
        let pkid = u16::try_from(receipt).map_err(|_| refused("no message has this receipt"))?;
        self.send(Packet::PubAck(PubAck::new(pkid))).await
    }

    async fn keep_alive(&mut self) -> Result<()> {
        // Nobody reads what it answers now.
        match self.clock.monotonic().saturating_sub(self.told) >= KEEP_ALIVE / 2 {
            true => self.send(Packet::PingReq).await,
            false => Ok(()),
        }
    }

    async fn leave(&mut self) -> Result<()> {
        let unsubscribe = Unsubscribe {
            pkid: SUBSCRIBES,
            topics: self.names.clone(),
        };
        self.send(Packet::Unsubscribe(unsubscribe)).await?;
        while !matches!(self.receive().await?, Packet::UnsubAck(_)) {}
        self.send(Packet::Disconnect).await
    }
}

fn message(publish: Publish) -> Message {
    let receipt = (publish.qos != QoS::AtMostOnce).then_some(u64::from(publish.pkid));
    Message {
        name: publish.topic,
        id: None,
        payload: Payload::Bytes(publish.payload),
        again: publish.dup,
        kept: publish.retain,
        receipt,
    }
}
