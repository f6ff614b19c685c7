"""Publishes what stdin says, line by line, at QoS 1: a topic, a tab, a payload. Exits 0 when all is acknowledged."""

import argparse
import sys

import paho.mqtt.client as mqtt


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--protocol", type=int, choices=(4, 5), required=True)
    args = parser.parse_args()
    client = mqtt.Client(
        mqtt.CallbackAPIVersion.VERSION2,
        client_id=f"publish-lines-{args.protocol}",
        protocol=mqtt.MQTTv5 if args.protocol == 5 else mqtt.MQTTv311,
    )
    refused = []
    client.on_publish = lambda _c, _u, mid, reason, _p: refused.append(mid) if reason.is_failure else None
    client.connect("127.0.0.1", args.port, keepalive=20)
    client.loop_start()
    for line in sys.stdin.buffer.read().decode("utf-8").splitlines():
        topic, payload = line.split("\t", 1)
        client.publish(topic, payload.encode("utf-8"), qos=1).wait_for_publish(10)
    client.disconnect()
    client.loop_stop()
    if refused:
        print(f"refused: {refused}")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
