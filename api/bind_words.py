"""The words of the binding page in both languages, and the fields of its vehicle form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from geo_engine.model import Language

__all__ = ["CHOICES", "FORM", "NOTICES", "WORDS", "FormField"]

Words = Mapping[Language, str]


@dataclass(frozen=True, slots=True)
class FormField:
    """A field of the form.

    Attributes:
        label: what it is called.
        step: step of a number, None = no number.
    """

    label: Words
    step: str | None = None


def _both(zh: str, en: str) -> Words:
    return {Language.ZH: zh, Language.EN: en}


WORDS: Final[Mapping[Language, Mapping[str, str]]] = {
    Language.ZH: {
        "title": "我的车辆与授权",
        "phone": "手机号",
        "bound": "已绑定",
        "number": "手机号码",
        "send_code": "发送验证码",
        "code": "验证码",
        "bind": "绑定",
        "vehicles": "车辆",
        "active": "（正在驾驶）",
        "drive": "改为驾驶此车",
        "remove": "移除",
        "add": "添加车辆",
        "no_plate": "无车牌",
        "unknown": "未填写",
        "consents": "授权",
        "save": "保存",
        "erase": "注销并删除我的全部数据",
        "erase_sure": "我确认删除，无法恢复",
        "other_language": "English",
        "subscribe": "订阅提醒",
        "subscribe_why": "接受后，提醒可以作为订阅通知发给您。是否提醒您，仍由上面的授权决定。",
        "subscribe_once": "接受提醒（每接受一次，可收到一条）",
        "subscribe_for_good": "长期接受提醒",
        "subscribe_not": "要订阅，请在手机微信（7.0.12 及以上版本）中从公众号菜单打开本页。",
        "subscribe_done": "微信已收到您的选择。",
        "subscribe_later": "没有成功，请稍后再试。",
    },
    Language.EN: {
        "title": "My vehicles and consent",
        "phone": "Phone",
        "bound": "Bound:",
        "number": "Mobile number",
        "send_code": "Send code",
        "code": "Code",
        "bind": "Bind",
        "vehicles": "Vehicles",
        "active": "(driving now)",
        "drive": "Drive this one",
        "remove": "Remove",
        "add": "Add vehicle",
        "no_plate": "no plate",
        "unknown": "not given",
        "consents": "Consent",
        "save": "Save",
        "erase": "Erase me and all my data",
        "erase_sure": "I am sure; it cannot be undone",
        "other_language": "中文",
        "subscribe": "Subscribe to warnings",
        "subscribe_why": (
            "What you accept here may bring you warnings as subscription notices. Whether you are warned at all is "
            "still decided by your consent above."
        ),
        "subscribe_once": "Accept a warning (one for each time you accept)",
        "subscribe_for_good": "Accept warnings for good",
        "subscribe_not": (
            "To subscribe, open this page from the account's menu in WeChat on a phone (7.0.12 or newer)."
        ),
        "subscribe_done": "WeChat has noted your choice.",
        "subscribe_later": "That did not work, please try again later.",
    },
}

NOTICES: Final[Mapping[str, Words]] = {
    "code_sent": _both("验证码已发送，5分钟内有效。", "The code is on its way; it is valid for 5 minutes."),
    "code_bad_phone": _both("请填写11位手机号。", "Expected a mobile number of 11 digits."),
    "code_wait": _both("发送过于频繁，请{about}秒后再试。", "Too many codes; try again in {about} s."),
    "code_not_taken": _both("短信暂时无法发送，请稍后再试。", "The message could not be sent; try again later."),
    "phone_right": _both("手机号已绑定。", "The phone is bound."),
    "phone_wrong": _both("验证码不正确。", "The code is wrong."),
    "phone_expired": _both("验证码已过期，请重新获取。", "The code has expired; ask for a new one."),
    "phone_spent": _both("尝试次数过多，请重新获取验证码。", "Too many tries; ask for a new code."),
    "phone_none": _both("请先获取验证码。", "Ask for a code first."),
    "vehicle_added": _both("车辆已添加，并设为正在驾驶。", "The vehicle is added and is the one you drive."),
    "vehicle_empty": _both("请至少填写一项车辆信息。", "Expected at least one field of the vehicle."),
    "vehicle_fault": _both("未保存：{about}", "Not saved: {about}"),
    "vehicle_changed": _both("已更新。", "Done."),
    "vehicle_unknown": _both("没有这辆车。", "There is no such vehicle."),
    "consents_saved": _both("授权已保存，立即生效。", "Saved; it holds from now on."),
    "consents_stale": _both("授权说明已更新，请重新确认。", "The text has changed; please decide anew."),
    "erased": _both("您的数据已删除。", "Your data is erased."),
    "erase_unsure": _both("请先勾选确认。", "Tick the box to confirm."),
    "snapshot": _both(
        "您正在浏览页面快照。请点击“使用完整服务”后重新打开。",
        "This is a snapshot of the page. Open it with the full service.",
    ),
    "state": _both(
        "页面已失效，请从公众号菜单重新打开。", "The page is no longer valid; open it from the account's menu."
    ),
    "form": _both("表单已失效，请重新打开页面。", "The form is no longer valid; open the page again."),
    "away": _both("微信暂时没有应答，请稍后再试。", "WeChat does not answer at the moment; try again later."),
    "stranger": _both("请先关注公众号。", "Follow the account first."),
}
"""What the page says of what was done; ``{about}`` = a number or a place."""

FORM: Final[Mapping[str, FormField]] = {
    "plate": FormField(_both("车牌号", "Plate")),
    "plate_colour": FormField(_both("车牌颜色", "Colour of the plate")),
    "kind": FormField(_both("车辆类型", "Kind")),
    "class": FormField(_both("货车等级", "Class of a truck")),
    "gross_weight_t": FormField(_both("总质量（吨）", "Gross weight (t)"), "0.01"),
    "load_t": FormField(_both("核定载质量（吨）", "Rated load (t)"), "0.01"),
    "axle_load_t": FormField(_both("最大轴重（吨）", "Heaviest axle (t)"), "0.01"),
    "axle_count": FormField(_both("轴数", "Axles"), "1"),
    "length_m": FormField(_both("长（米）", "Length (m)"), "0.01"),
    "width_m": FormField(_both("宽（米）", "Width (m)"), "0.01"),
    "height_m": FormField(_both("高（米）", "Height (m)"), "0.01"),
    "seats": FormField(_both("座位数", "Seats"), "1"),
    "energy": FormField(_both("能源", "Energy")),
    "emission_stage": FormField(_both("排放阶段（国）", "Emission stage (China)"), "1"),
    "body": FormField(_both("车身形式", "Body")),
    "goods": FormField(_both("货物", "Goods")),
}
"""The fields a person may tell, by their name in a vehicles file. Service and permits are not among them: what exempts
from a rule is not for its driver to say."""

CHOICES: Final[Mapping[str, Mapping[str, Words]]] = {
    "kind": {
        "car": _both("小客车", "Car"),
        "coach": _both("客车", "Coach"),
        "goods": _both("货车", "Goods vehicle"),
        "tractor": _both("牵引车", "Tractor unit"),
        "trailer": _both("挂车", "Trailer"),
        "special_work": _both("专项作业车", "Special work vehicle"),
        "wheeled_machine": _both("轮式机械车", "Wheeled machine"),
        "low_speed": _both("低速货车", "Low-speed truck"),
        "hazmat": _both("危险货物运输车", "Dangerous goods vehicle"),
        "farm_tractor": _both("拖拉机", "Farm tractor"),
    },
    "class": {
        "micro": _both("微型", "Micro"),
        "light": _both("轻型", "Light"),
        "medium": _both("中型", "Medium"),
        "heavy": _both("重型", "Heavy"),
    },
    "plate_colour": {
        "blue": _both("蓝", "Blue"),
        "yellow": _both("黄", "Yellow"),
        "black": _both("黑", "Black"),
        "white": _both("白", "White"),
        "green": _both("绿", "Green"),
        "yellow_green": _both("黄绿", "Yellow-green"),
    },
    "energy": {
        "petrol": _both("汽油", "Petrol"),
        "diesel": _both("柴油", "Diesel"),
        "gas": _both("燃气", "Gas"),
        "hybrid": _both("混合动力", "Hybrid"),
        "plug_in_hybrid": _both("插电混动", "Plug-in hybrid"),
        "electric": _both("纯电动", "Electric"),
        "hydrogen": _both("氢燃料", "Hydrogen"),
    },
    "body": {
        "van": _both("厢式", "Van"),
        "flatbed": _both("平板", "Flatbed"),
        "tank": _both("罐式", "Tank"),
        "tipper": _both("自卸", "Tipper"),
        "stake": _both("栏板/仓栅", "Stake"),
        "refrigerated": _both("冷藏", "Refrigerated"),
        "container": _both("集装箱", "Container"),
        "other": _both("其他", "Other"),
    },
}
"""The values of a field that is chosen, in the order shown; a test holds them to the rule model."""
