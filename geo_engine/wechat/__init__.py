"""The WeChat channel: templates, the sender, and a fake WeChat server for tests and demonstrations.

Import from the modules: the sender costs the import of wechatpy, the fake server that of starlette and uvicorn,
and neither needs the other.
"""

from __future__ import annotations

__all__: list[str] = []
