"""A device with a persistent session that publishes numbered messages at QoS 1 until its input ends.

Writes to --log, one line each: "published N" before a message is handed to paho, "acked N" when its PUBACK came.
When stdin ends it stops publishing, waits until everything is acknowledged, disconnects and exits 0.
Reconnecting, and resending with DUP what was not acknowledged, is left to paho.
"""

import argparse
import json
import select
import sys
import time

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

# More than this not yet acknowledged, and the publisher waits: packet ids must not come round again before.
OUTSTANDING_MAX = 30_000


def check_value(publisher: int, number: int) -> float:
    """A second value in every message that tells whose it is and which; the harness computes the same."""
    return number / 7.0 + publisher * 1e9


class Device:
    def __init__(self, args: argparse.Namespace):
        self.args = args
        self.log = open(args.log, "w", encoding="ascii", buffering=1)
        self.number_of = {}  # packet id -> number of the message that has it now
        self.published = 0
        self.acked = 0
        self.connects = 0
        self.sessions_present = 0
        self.client = self.make_client()

    def make_client(self) -> mqtt.Client:
        fifth = self.args.protocol == 5
        client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2,
            client_id=self.args.client,
            protocol=mqtt.MQTTv5 if fifth else mqtt.MQTTv311,
            **({} if fifth else {"clean_session": False}),
        )
        client.max_inflight_messages_set(20)
        client.max_queued_messages_set(0)
        client.reconnect_delay_set(min_delay=0.05, max_delay=0.2)
        client.on_connect = self.on_connect
        client.on_publish = self.on_publish
        return client

    def connect(self) -> None:
        options = {}
        if self.args.protocol == 5:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = 3600
            options = {"clean_start": False, "properties": properties}
        self.client.connect("127.0.0.1", self.args.port, keepalive=20, **options)
        self.client.loop_start()

    def on_connect(self, _client, _userdata, flags, reason, _properties) -> None:
        if reason.is_failure:
            print(f"refused: {reason}", flush=True)
            return
        self.connects += 1
        self.sessions_present += flags.session_present
        if self.connects == 1:
            print("connected", flush=True)

    # Called in paho's network thread, possibly before `publish` has returned: the number is on record before.
    def on_publish(self, _client, _userdata, mid, reason, _properties) -> None:
        if self.args.protocol == 5 and reason.is_failure:
            print(f"message {self.number_of[mid]} refused: {reason}", flush=True)
            return
        self.acked += 1
        self.log.write(f"acked {self.number_of[mid]}\n")

    def publish_next(self) -> None:
        self.published += 1
        # paho gives out packet ids in order, 1 to 65535, and this client sends nothing else that needs one.
        expected = (self.published - 1) % 65535 + 1
        self.number_of[expected] = self.published
        self.log.write(f"published {self.published}\n")
        value = check_value(self.args.publisher, self.published)
        payload = json.dumps({"number": self.published, "check": value})
        info = self.client.publish(f"relais/v1/{self.args.device}/telemetry", payload, qos=1)
        if info.mid != expected:
            sys.exit(f"packet id {info.mid}, expected {expected}")

    def run(self) -> int:
        self.connect()
        began, interval = time.monotonic(), 1.0 / self.args.rate
        due = 0
        while not select.select([sys.stdin], [], [], interval)[0]:
            due = int((time.monotonic() - began) * self.args.rate)
            # After a pause of the machine there is no burst to catch up, only the pace from then on.
            due = min(due, self.published + self.args.rate)
            while self.published < due and self.published - self.acked < OUTSTANDING_MAX:
                self.publish_next()
        deadline = time.monotonic() + 60
        while self.acked < self.published and time.monotonic() < deadline:
            time.sleep(0.02)
        self.client.disconnect()
        self.client.loop_stop()
        counts = {
            "published": self.published,
            "acked": self.acked,
            "connects": self.connects,
            "sessions_present": self.sessions_present,
        }
        print(json.dumps(counts), flush=True)
        return 0 if self.acked == self.published else 1


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--client", required=True)
    parser.add_argument("--device", required=True)
    parser.add_argument("--publisher", type=int, required=True)
    parser.add_argument("--protocol", type=int, choices=(4, 5), required=True)
    parser.add_argument("--rate", type=int, required=True)
    parser.add_argument("--log", required=True)
    return Device(parser.parse_args()).run()


if __name__ == "__main__":
    sys.exit(main())
