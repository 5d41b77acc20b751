"""CompletionHandler: suggests values for the arguments of prompts and the variables of resource templates."""

from collections.abc import Iterable, Mapping

from tfo_mcp.application.catalog import Catalog
from tfo_mcp.application.queries import Complete, Completion
from tfo_mcp.domain.access import PROMPTS_READ
from tfo_mcp.domain.errors import InvalidParams, PromptNotFound, ResourceNotFound
from tfo_mcp.domain.prompt import Completer, Prompt
from tfo_mcp.domain.resource import ResourceTemplate, missing_scopes
from tfo_mcp.domain.text import shortened

_MOST_VALUES = 100  # the schema's limit on completion.values


class CompletionHandler:
    """Calls the completer of the referenced prompt or template."""

    def __init__(self, prompts: Catalog[Prompt], templates: Catalog[ResourceTemplate]) -> None:
        self._prompts = prompts
        self._templates = templates

    async def complete(self, query: Complete) -> Completion:
        """Return suggested values; an argument without a completer has none.

        Raises:
            PromptNotFound, ResourceNotFound: the prompt or template does not exist for this caller.
            InvalidParams: the prompt or template has no such argument.
        """
        names, completers = self._target(query)
        if query.argument not in names:
            raise InvalidParams(f"Unknown argument: {shortened(query.argument)}", name=shortened(query.reference))
        completer = completers.get(query.argument)
        values = tuple(await completer(query.value, query.others, query.context)) if completer else ()
        return Completion(values[:_MOST_VALUES], len(values))

    def _target(self, query: Complete) -> tuple[Iterable[str], Mapping[str, Completer]]:
        caller = query.context.caller
        if query.target == "prompt":
            if not caller.may(PROMPTS_READ):
                raise PromptNotFound(query.reference, PROMPTS_READ)
            prompt = self._prompts.get(query.reference)
            if prompt is None:
                raise PromptNotFound(query.reference)
            return {argument.name for argument in prompt.arguments}, prompt.completers
        template = self._templates.get(query.reference)
        missing = missing_scopes(caller, template)
        if template is None or missing:
            raise ResourceNotFound(query.reference, *missing)
        return template.variables, template.completers
