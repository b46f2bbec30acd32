# ruff: noqa: RUF001  (Chinese has its own commas)
"""Texts of every sort for the conversations of ``token_corpus.py``: code, prose, listings, logs, Chinese.

Code in Python and prose come from this machine's standard library and licenses, the rest is made up.
"""

from __future__ import annotations

import base64
import difflib
import pydoc_data.topics
import random
import sysconfig
import textwrap
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import msgspec


def words(text: str) -> list[str]:
    return text.split()


# ---- Chinese

SUBJECTS = words(
    """
    我们 你 用户 这个函数 这个模块 系统 服务器 客户端 数据库 团队 管理员 开发者 程序 缓存 接口
    测试 这段代码 配置文件 前端 后端 上游服务 代理 日志 调度器 线程 连接池 编译器 产品经理 学生
    老师 公司 市场 消费者 政府 科学家 医生 孩子 朋友 作者 读者 城市 农民 工程师 记者 游客
    经济学家 研究人员 社区 学校 医院 银行 法院 媒体
    """
)
VERBS = words(
    """
    检查 修改 删除 创建 返回 处理 调用 发送 接收 读取 写入 保存 更新 验证 测试 优化 重构
    忽略 记录 等待 取消 启动 停止 部署 解释 分析 讨论 支持 反对 提高 降低 影响 改变 发现
    解决 避免 导致 考虑 选择 使用 开发 设计 实现 完成 开始 结束 比较 确认 需要 允许 拒绝
    保护 研究 介绍 了解 学习 帮助 组织 管理 推动 建立 恢复
    """
)
OBJECTS = words(
    """
    请求 响应 数据 文件 参数 返回值 错误 异常 超时 连接 令牌 密钥 权限 账户 模型 消息 队列
    任务 事件 状态 变量 类型 字段 列表 字典 字符串 数组 索引 路径 目录 版本 分支 提交 文档
    注释 性能 内存 磁盘 网络 带宽 延迟 并发 锁 事务 备份 迁移 计划 问题 方案 结果 原因 过程
    关系 价格 质量 环境 教育 健康 文化 历史 技术 能源 交通 食品 气候 语言 政策 法律 市场
    生活 工作 机会 经验 信息 能力 时间 空间 习惯 压力 风险 收入 成本 目标 需求 规则 标准
    """
)
ADVERBS = words(
    """
    首先 然后 最后 同时 因此 但是 不过 其实 一般来说 例如 另外 实际上 在这种情况下 如果可能的话
    为了安全起见 根据文档 目前 今天 昨天 去年 最近 以后 有时候 常常 几乎 完全 仅仅 也许 显然
    尤其 至少 毕竟 幸好 随着时间的推移 从长远来看 换句话说
    """
)
ADJECTIVES = words(
    """
    新的 旧的 重要的 简单的 复杂的 可靠的 安全的 快速的 缓慢的 错误的 正确的 完整的 空的 相同的
    不同的 主要的 公共的 私有的 临时的 长期的 明显的 潜在的 有效的 多余的 合理的 严重的 普通的
    特殊的 美丽的 传统的 现代的 稳定的
    """
)
PATTERNS = (
    "{adv}，{s}{v}了{adj}{o}，所以{s2}不能{v2}{o2}。",
    "{s}为什么没有{v}{o}？我觉得是因为{o2}还没有{v2}。",
    "请帮我{v}一下{adj}{o}，并且告诉我怎样{v2}{o2}。",
    "当{s}{v}{o}的时候，{adv}{s2}会{v2}{adj}{o2}。",
    "{adv}{s}应该{v}{o}，而不是直接{v2}{o2}；否则{o3}可能会出现问题。",
    "我已经{v}了{o}，结果和之前一样：{s}仍然无法{v2}{o2}。",
    "{o}的{o2}决定了{s}能不能{v}{adj}{o3}。",
    "这里有{n}个{adj}{o}需要{v}，其中{n2}个和{o2}有关。",
    "{s}认为，{adj}{o}对{o2}的影响比我们想象的要大得多。",
    "如果{s}在{n}秒内没有{v}{o}，就{v2}{o2}并{v3}{o3}。",
    "好的，我来{v}一下。{adv}，{s}的{o}看起来没有问题，但{o2}需要{v2}。",
    "{adv}，越来越多的{s}开始{v}{o}，这不仅{v2}了{o2}，也{v3}了{o3}。",
)

# ---- code that nobody wrote

NOUNS = words("user order session token cache index buffer stream config account message query result task node")
DEEDS = words("load save parse render fetch update remove validate build merge resolve encode schedule retry flush")
TYPES = ["string", "number", "Date", "Buffer", "Record<string, unknown>", "Promise<void>", "string[]"]

TYPESCRIPT = """export interface {N}Options {{
  readonly {a}Id: string;
  {b}?: {t};
  timeoutMs: number; // give up after this long
}}

export async function {v}{N}(options: {N}Options): Promise<{M} | undefined> {{
  const {a} = await this.{b}Store.get(`${{options.{a}Id}}:{c}`);
  if (!{a} || {a}.expiresAt < Date.now()) {{
    logger.warn({{ {a}Id: options.{a}Id }}, "{a} is gone, will {v} again");
    return undefined;
  }}
  return {a}.{c}s.filter((item) => item.{b} !== null).map(({{ id, ...rest }}) => ({{ ...rest, key: id }}));
}}
"""
GO = """// {V}{N} {v}s the {a} and gives back its {b}.
func (s *{M}Service) {V}{N}(ctx context.Context, {a}ID string) (*{N}, error) {{
	ctx, cancel := context.WithTimeout(ctx, {n}*time.Second)
	defer cancel()
	row := s.db.QueryRowContext(ctx, `SELECT id, {b}, {c}_at FROM {a}s WHERE id = $1`, {a}ID)
	var out {N}
	if err := row.Scan(&out.ID, &out.{M}, &out.CreatedAt); err != nil {{
		return nil, fmt.Errorf("{v} {a} %q: %w", {a}ID, err)
	}}
	return &out, nil
}}
"""
RUST = """impl<'a> {N}{M}<'a> {{
    /// {V}s one {a}, borrowing its {b}.
    pub fn {v}_{a}(&mut self, {b}: &'a [u8]) -> Result<Option<{N}>, {M}Error> {{
        let mut {c} = Vec::with_capacity({b}.len().min({n}));
        while let Some((key, value)) = self.next_{c}()? {{
            match key {{
                b"{a}" => {c}.push(u32::from_be_bytes(value.try_into()?)),
                _ if self.strict => return Err({M}Error::Unknown(key.to_vec())),
                _ => continue,
            }}
        }}
        Ok({c}.into_iter().max().map(|size| {N} {{ size, ..Default::default() }}))
    }}
}}
"""
SQL = """CREATE TABLE IF NOT EXISTS {a}_{b} (
    id BIGSERIAL PRIMARY KEY,
    {c}_id UUID NOT NULL REFERENCES {c}s (id) ON DELETE CASCADE,
    payload JSONB NOT NULL DEFAULT '{{}}'::jsonb,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
SELECT {c}.id, count(*) FILTER (WHERE {a}.status = 'failed') AS failures
FROM {a}_{b} AS {a} LEFT JOIN {c}s AS {c} ON {c}.id = {a}.{c}_id
WHERE {a}.created_at > now() - INTERVAL '{n} days' GROUP BY 1 HAVING count(*) > {n} ORDER BY 2 DESC;
"""
C = """static int {a}_{v}(struct {a}_{b} *{c}, const uint8_t *data, size_t len)
{{
	struct {b} *entry;

	if (!{c} || len < sizeof(*entry))
		return -EINVAL;
	list_for_each_entry(entry, &{c}->{b}_list, node) {{
		if (memcmp(entry->digest, data, 0x{n:x}) == 0) {{
			atomic_inc(&entry->refcount);
			return entry->fd;
		}}
	}}
	pr_debug("%s: no {b} for {a} (%zu bytes)\\n", __func__, len);
	return 0;
}}
"""
LANGUAGES = ((TYPESCRIPT, "ts"), (GO, "go"), (RUST, "rs"), (SQL, "sql"), (C, "c"))

ENGLISH_ASKS = (
    "Can you find out why {x} fails when {y} is empty? The test passes locally but not in CI.",
    "Please refactor {x} so that it no longer depends on {y}, and keep the public interface as it is.",
    "Thanks. Now add tests for {x}, including the case where {y} times out halfway through.",
    "I don't think that's right: {x} is called before {y} has been set up. Look again, please.",
    "What does {x} do with {y}? Explain it to somebody who has never seen this code base.",
)
SAYINGS = (
    "Let me look at {x} first. ",
    "I'll start by reading the file that defines {x}, then check who calls {y}. ",
    "The problem is in {x}: it assumes that {y} has at least one element, which isn't true after a restart. ",
    "That worked. All tests pass now, and {x} no longer touches {y}. ",
    "Two things are left: documenting {x} and removing the old {y}. ",
)


@cache
def library(name: str) -> str:
    """The source of a module of the standard library: code and prose of many hands."""
    return (Path(sysconfig.get_paths()["stdlib"]) / name).read_text(encoding="utf-8")


@cache
def python_sources() -> tuple[str, ...]:
    names = "argparse ast bisect calendar cgitb codecs configparser csv dataclasses datetime decimal difflib doctest"
    names += " enum fractions ftplib functools gettext gzip heapq imaplib inspect ipaddress locale mailbox netrc"
    names += " optparse os pathlib pdb pickle pprint pstats queue random sched shelve shlex shutil smtplib socket"
    names += (
        " statistics subprocess tarfile tempfile textwrap threading timeit trace turtle typing uuid warnings zipfile"
    )
    root = Path(sysconfig.get_paths()["stdlib"])
    return tuple(f"{name}.py" for name in names.split() if (root / f"{name}.py").exists())


@cache
def prose() -> tuple[str, ...]:
    """Paragraphs of English."""
    licenses = sorted(Path("/usr/share/common-licenses").glob("*"))
    texts = [*pydoc_data.topics.topics.values(), *(path.read_text("utf-8", "replace") for path in licenses)]
    paragraphs = [textwrap.dedent(part).strip() for text in texts for part in text.split("\n\n")]
    return tuple(part for part in paragraphs if len(part) > 120)


class Writer:
    """Makes texts of every sort, the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def pick(self, texts: Sequence[str]) -> str:
        return self.random.choice(texts)

    def chinese(self, sentences: int) -> str:
        out: list[str] = []
        for _ in range(sentences):
            out.append(
                self.pick(PATTERNS).format(
                    s=self.pick(SUBJECTS), s2=self.pick(SUBJECTS), v=self.pick(VERBS), v2=self.pick(VERBS),
                    v3=self.pick(VERBS), o=self.pick(OBJECTS), o2=self.pick(OBJECTS), o3=self.pick(OBJECTS),
                    adv=self.pick(ADVERBS), adj=self.pick(ADJECTIVES), n=self.random.randint(2, 90),
                    n2=self.random.randint(2, 30),
                )
            )  # fmt: skip
            if self.random.random() < 0.15:
                out.append(f"（参见 `{self.identifier()}`）" if self.random.random() < 0.5 else "\n\n")
        return "".join(out)

    def english(self, paragraphs: int) -> str:
        return "\n\n".join(self.pick(prose()) for _ in range(paragraphs))

    def identifier(self) -> str:
        deed, noun, other = self.pick(DEEDS), self.pick(NOUNS), self.pick(NOUNS)
        return self.pick(
            [f"{deed}_{noun}_{other}", f"{deed}{noun.title()}{other.title()}", f"{noun.title()}{deed.title()}r"]
        )

    def python(self, lines: int) -> str:
        source = library(self.pick(python_sources())).splitlines()
        start = self.random.randrange(max(1, len(source) - lines))
        return "\n".join(source[start : start + lines])

    def foreign(self, lines: int) -> str:
        template, _ = self.random.choice(LANGUAGES)
        out: list[str] = []
        while sum(part.count("\n") for part in out) < lines:
            a, b, c = self.random.sample(NOUNS, 3)
            deed = self.pick(DEEDS)
            out.append(
                template.format(
                    a=a, b=b, c=c, v=deed, V=deed.title(), N=a.title(), M=b.title(), t=self.pick(TYPES),
                    n=self.random.randint(2, 60),
                )
            )  # fmt: skip
        return "\n".join(out)

    def numbered(self, code: str) -> str:
        """As agents show files."""
        return "\n".join(
            f"{number:6}\t{line}" for number, line in enumerate(code.splitlines(), self.random.randint(1, 400))
        )

    def path(self) -> str:
        ending = self.pick(["py", "ts", "go"])
        return f"/home/dev/{self.pick(NOUNS)}-service/src/{self.pick(NOUNS)}/{self.identifier()}.{ending}"

    def diff(self, code: str) -> str:
        old = code.splitlines()
        new = [line.replace("self", "this") if self.random.random() < 0.1 else line for line in old]
        new = [line for line in new if self.random.random() > 0.03]
        return "\n".join(difflib.unified_diff(old, new, self.path(), self.path(), lineterm=""))

    def listing(self, rows: int) -> str:
        return "\n".join(
            f"-rw-r--r--  1 dev dev {self.random.randint(90, 99999):>6} Mar {self.random.randint(1, 31):>2} "
            f"{self.random.randint(0, 23):02}:{self.random.randint(0, 59):02} {self.identifier()}.py"
            for _ in range(rows)
        )

    def log(self, rows: int) -> str:
        return "\n".join(
            f"2026-03-{self.random.randint(1, 31):02}T{self.random.randint(0, 23):02}:{self.random.randint(0, 59):02}:"
            f"{self.random.random() * 60:06.3f}Z {self.pick(['INFO', 'WARN', 'ERROR'])} [{self.pick(NOUNS)}-"
            f"{self.random.randint(0, 9)}] {self.identifier()} id={self.random.randbytes(6).hex()} "
            f"took {self.random.randint(1, 4000)} ms"
            for _ in range(rows)
        )

    def grep(self, rows: int) -> str:
        lines = [line for line in self.python(400).splitlines() if line.strip()] or ["pass"]
        return "\n".join(f"{self.path()}:{self.random.randint(1, 900)}:{self.pick(lines)}" for _ in range(rows))

    def records(self, rows: int) -> str:
        made = [
            {
                "id": self.random.randbytes(16).hex(),
                self.pick(NOUNS): {
                    "name": self.identifier(),
                    "score": self.random.random(),
                    "tags": self.random.choices(NOUNS, k=3),
                },
                "updated_at": f"2026-01-{self.random.randint(1, 31):02}T00:00:00Z",
                "active": self.random.random() < 0.5,
                "note": self.pick(prose())[:80],
            }
            for _ in range(rows)
        ]
        encoded = msgspec.json.encode(made)
        return (msgspec.json.format(encoded, indent=2) if self.random.random() < 0.5 else encoded).decode()

    def failures(self, rows: int) -> str:
        frames = "\n".join(
            f'  File "{self.path()}", line {self.random.randint(1, 900)}, in {self.identifier()}\n    {line.strip()}'
            for line in self.python(rows).splitlines()
            if line.strip()
        )
        return f"Traceback (most recent call last):\n{frames}\nValueError: {self.identifier()} must not be None"

    def blob(self) -> str:
        data = self.random.randbytes(self.random.randint(300, 1500))
        return base64.b64encode(data).decode() if self.random.random() < 0.5 else data.hex()

    def result(self, chinese: bool, data: bool) -> str:
        """What a tool gives back."""
        size = self.random.randint(10, 160)
        if data and self.random.random() < 0.7:
            return self.random.choice([self.records, self.log, self.listing])(size // 2) + (
                f"\nsignature: {self.blob()}" if self.random.random() < 0.3 else ""
            )
        if chinese and self.random.random() < 0.3:
            return self.chinese(size // 3)
        makers: list[Callable[[int], str]] = [
            lambda lines: self.numbered(self.python(lines)),
            lambda lines: self.numbered(self.foreign(lines)),
            lambda lines: self.diff(self.python(lines)),
            lambda lines: self.diff(self.foreign(lines)),
            self.grep,
            self.failures,
            self.listing,
            lambda lines: self.english(lines // 20 + 1),
        ]
        return self.random.choice(makers)(size)

    def filled(self, sentences: Sequence[str]) -> str:
        return self.pick(sentences).format(x=f"`{self.identifier()}`", y=f"`{self.identifier()}`")
