"""The phones of the fake server as one HTML page, without script and without any outside request."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from html import escape
from typing import Final

from geo_engine.wechat.fake_model import Delivery
from geo_engine.wechat.fake_push import PushRecord
from geo_engine.wechat.template import Slot, Template

__all__ = ["PAGE_POLICY", "render_page"]

PAGE_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
"""Content-Security-Policy of the page: even a text that slipped through could load and run nothing."""

_UNAVAILABLE: Final = "该公众号暂时无法提供服务，请稍后再试"
_PHONES: Final = 60
_MESSAGES: Final = 8
_BEIJING: Final = timezone(timedelta(hours=8), "Asia/Shanghai")
_LABELS: Final = {
    Slot.ZONE: "区域 Zone",
    Slot.PLACE: "位置 Where",
    Slot.PLATE: "车牌 Plate",
    Slot.TIME: "时间 Time",
    Slot.PERIOD: "时段 When",
    Slot.TOPIC: "事项 What",
    Slot.ACTION: "提示 What to do",
    Slot.WHY: "依据 Why",
}
_TITLES: Final = {
    "template": "通行提醒 · Traffic notice",
    "subscription": "订阅通知 · Subscription notice",
    "customer_service": "客服消息 · Message",
    "reply": "自动回复 · Reply",
}
_STYLE: Final = """
body{margin:0;background:#d8d8d8;font:14px/1.5 system-ui,"PingFang SC","Noto Sans CJK SC","Microsoft YaHei",sans-serif}
header{padding:12px 20px;background:#2e2e2e;color:#fff}header small{color:#bbb;margin-left:12px}
main{display:flex;flex-wrap:wrap;gap:16px;padding:16px}
.phone{width:300px;background:#ededed;border-radius:14px;overflow:hidden;box-shadow:0 1px 4px #0003}
.phone h2{margin:0;padding:8px 12px;font-size:13px;text-align:center;background:#f7f7f7;border-bottom:1px solid #ddd}
.phone time{display:block;text-align:center;color:#999;font-size:12px;margin-top:8px}
.card{margin:6px 12px 10px;padding:10px 12px;background:#fff;border-radius:6px}
.card h3{margin:0 0 6px;font-size:15px}.card dl{margin:0;display:grid;grid-template-columns:84px 1fr}
.card dt{color:#999}.card dd{margin:0;overflow-wrap:anywhere}.gone{margin:8px 12px;text-align:center;color:#b00}
.empty{color:#666;padding:20px}
"""


def render_page(
    deliveries: Sequence[Delivery], templates: Sequence[Template], failed: Sequence[PushRecord] = ()
) -> str:
    """Return the page: the people written to last come first, each with their latest messages.

    Whose last push failed reads that the service is unavailable, with the reason, which a real phone does not show.
    Every text is escaped. Only the latest 60 phones and 8 messages each are shown.
    """
    phones: dict[str, list[Delivery]] = {}
    for delivery in reversed(deliveries):
        phones.setdefault(delivery.open_id, []).append(delivery)
    for record in failed:
        phones.setdefault(record.open_id, [])
    gone = {record.open_id: record.problem for record in failed}
    labels = {field.key: _LABELS[field.value] for template in templates for field in template.fields}
    labels |= {"text": "消息 Message", "url": "链接 Link"}
    shown = [
        _phone(open_id, found[:_MESSAGES], labels, gone.get(open_id))
        for open_id, found in list(phones.items())[:_PHONES]
    ]
    body = "".join(shown) or '<p class="empty">还没有消息 · No message yet</p>'
    count = f"{len(deliveries)} 条消息 messages · {len(phones)} 部手机 phones"
    return (
        '<!doctype html><html lang="zh-CN"><head><meta charset="utf-8"><meta http-equiv="refresh" content="2">'
        f"<title>模拟微信 · Fake WeChat</title><style>{_STYLE}</style></head><body>"
        f"<header>模拟微信 · Fake WeChat<small>{count}</small></header><main>{body}</main></body></html>"
    )


def _phone(open_id: str, deliveries: Sequence[Delivery], labels: dict[str, str], problem: str | None) -> str:
    cards = "".join(_card(delivery, labels) for delivery in deliveries)
    if problem is not None:
        cards = f'<p class="gone">{_UNAVAILABLE}<br><small>{escape(problem)}</small></p>{cards}'
    return f'<section class="phone"><h2>{escape(open_id)}</h2>{cards}</section>'


def _card(delivery: Delivery, labels: dict[str, str]) -> str:
    moment = datetime.fromtimestamp(delivery.time_ms / 1_000, UTC).astimezone(_BEIJING)
    rows = "".join(
        f"<dt>{escape(labels.get(key, key))}</dt><dd>{escape(value)}</dd>" for key, value in delivery.data.items()
    )
    title = _TITLES[delivery.channel]
    return f'<time>{moment:%m-%d %H:%M:%S}</time><div class="card"><h3>{title}</h3><dl>{rows}</dl></div>'
