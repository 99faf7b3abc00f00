"""The operations of service ItemLens. Both clients have them as methods."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, TypeAlias, Unpack, get_args

from . import _boosts, _build, _filter, _read
from ._boosts import Boost
from ._build import Names
from ._enums import ChannelKind, Role
from ._filter import Filter
from ._flavours import Awaited, Blocking, awaited, blocking
from ._results import Encoded, Explanations, Fused, Recommendations, Space, Statistics
from ._retry import Deadline
from ._steps import Session, Steps, call
from ._types import ChannelWeight, Content, FuseInput, Item, Picture, UserSide, UserSideFields
from ._values import listed, number, one_of, string, strings, whole
from .v1 import itemlens_pb2

Language: TypeAlias = Literal["en", "zh"]
Purpose: TypeAlias = Literal["item", "query"]
HeatMapFormat: TypeAlias = Literal["grid", "png"]


def space(session: Session, name: str | None = None, *, timeout: float | None = None) -> Steps[Space]:
    """Return a space: its channels and dimensions.

    Args:
        name: a space's id or name. Default: the client's, else the server's default space.
        timeout: seconds in all, retries included. Default: the client's.

    Raises:
        NotFound: there is no such space.
    """
    request = itemlens_pb2.GetSpaceRequest(space=session.wanted(name))
    reply = yield from call(
        session, "GetSpace", request, itemlens_pb2.GetSpaceResponse, session.deadline(timeout)
    )
    return _read.space(reply)


def statistics(
    session: Session, name: str | None = None, *, timeout: float | None = None
) -> Steps[Statistics]:
    """Return the statistics of a space's encoders since the server started.

    Args:
        name: a space's id or name. Default: the client's, else the server's default space.
        timeout: seconds in all, retries included. Default: the client's.

    Raises:
        NotFound: there is no such space.
    """
    request = itemlens_pb2.GetStatisticsRequest(space=session.wanted(name))
    reply = yield from call(
        session, "GetStatistics", request, itemlens_pb2.GetStatisticsResponse, session.deadline(timeout)
    )
    return _read.statistics(reply)


def encode(
    session: Session,
    texts: Sequence[str] = (),
    *,
    pictures: Sequence[Picture] = (),
    contents: Sequence[Content] = (),
    channel: str | None = None,
    purpose: Purpose = "item",
    unit_length: bool = False,
    space: str | None = None,
    timeout: float | None = None,
) -> Steps[Encoded]:
    """Encode texts and pictures, each to a vector of one channel.

    `client.encode(["red shoes", "green hat"]).vectors` is float32 of shape (2, dimension of the channel).

    Args:
        texts: texts for `channel`, by default the space's first TEXT channel.
        pictures: pictures for `channel`, by default the space's first IMAGE channel.
        contents: more inputs, each with its channel.
        channel: channel of `texts` or `pictures`. It cannot be given together with both.
        purpose: whether the inputs describe items or queries. Some encoders treat them differently.
        unit_length: scale each vector to length 1. Do not use it for vectors that go to `fuse`.
        space: a space's id or name. Default: the client's, else the server's default space.
        timeout: seconds in all, retries included. Default: the client's.

    Returns:
        A result for each input, in the order texts, pictures, contents. A bad input has its own error; the
        others have vectors.

    Raises:
        InvalidArgument: the whole request is wrong, such as no or too many inputs.
        NotFound: there is no such space.
    """
    if channel is not None and texts and pictures:
        raise ValueError("channel cannot be given with both texts and pictures; use contents")
    texts, pictures = strings(texts, "texts"), _listed(pictures)
    deadline = session.deadline(timeout)
    wanted = session.wanted(space)
    names = Names()
    if channel is None and (texts or pictures):
        names = Names((yield from session.known_space(wanted, deadline)))
    inputs = [
        *(Content(channel or names.of(ChannelKind.TEXT), text=text) for text in texts),
        *(Content(channel or names.of(ChannelKind.IMAGE), picture=picture) for picture in pictures),
        *_build.all_of(Content, contents, "contents"),
    ]
    request = itemlens_pb2.EncodeRequest(
        space=wanted,
        inputs=[_build.content(content) for content in inputs],
        purpose=itemlens_pb2.Purpose.Value(
            f"PURPOSE_{one_of(purpose, get_args(Purpose), 'purpose').upper()}"
        ),
        unit_length=unit_length,
    )
    reply = yield from call(session, "Encode", request, itemlens_pb2.EncodeResponse, deadline)
    return _read.encoded(reply)


def fuse(
    session: Session,
    items: Sequence[Item | FuseInput],
    role: Role | Literal["item", "query"] = "item",
    *,
    channel_weights: Mapping[str, ChannelWeight] | None = None,
    space: str | None = None,
    timeout: float | None = None,
) -> Steps[Fused]:
    """Fuse the contents and vectors of each item or query to one vector.

    `np.asarray(fused[0].vector)` is float32 of shape (fused_dimension,).

    Args:
        items: inputs for one vector each. Only texts and pictures of an Item count.
        role: "item" or "query"; score = dot(query, item).
        channel_weights: changes to the fitted weights by channel, for role "query" only.
        space: a space's id or name. Default: the client's, else the server's default space.
        timeout: seconds in all, retries included. Default: the client's.

    Returns:
        A result for each input, in order. A bad input has its own error (FailedPrecondition for a vector of another
        space); the others have vectors.

    Raises:
        InvalidArgument: the whole request is wrong.
        NotFound: there is no such space.
    """
    items = _build.all_of((Item, FuseInput), items, "items")
    deadline = session.deadline(timeout)
    wanted = session.wanted(space)
    names = Names()
    if any(_build.needs_names(item) for item in items):
        names = Names((yield from session.known_space(wanted, deadline)))
    request = itemlens_pb2.FuseRequest(
        space=wanted,
        role=_build.role(role),
        inputs=[_build.fuse_input(item, names) for item in items],
        channel_weights=_build.channel_weights(channel_weights or {}),
    )
    reply = yield from call(session, "Fuse", request, itemlens_pb2.FuseResponse, deadline)
    return _read.fused(reply)


def recommend(
    session: Session,
    user: UserSide | str | None = None,
    *,
    k: int | None = None,
    top_fraction: float | None = None,
    candidates: Sequence[str] | None = None,
    exclude_seen: bool = True,
    exact: bool = False,
    parts: bool = False,
    reasons: bool = False,
    language: Language = "en",
    query_vectors: bool = False,
    probabilities: bool = False,
    surface: str = "",
    filter: str | Filter = "",
    attributes: Sequence[str] = (),
    group_by: str = "",
    per_group: int = 1,
    caps: Mapping[str, int] | None = None,
    fold_duplicates: bool = False,
    facets: Sequence[str] | Mapping[str, int] = (),
    disabled_rules: Sequence[str] = (),
    boosts: Iterable[Boost | str] = (),
    without_boosts: Sequence[str] = (),
    collection: str | None = None,
    timeout: float | None = None,
    **side: Unpack[UserSideFields],
) -> Steps[Recommendations]:
    """Return the best items for a user or a query.

    `client.recommend(history=["a", "b"], text="for the garden", k=5)`

    Args:
        user: a user's id, or a UserSide. Its fields can be given as keyword arguments instead.
        k: number of items. Default 10.
        top_fraction: share of the items that remain after exclusions, in (0, 1], instead of `k`.
        candidates: rank these items only, at most 1,000. Default: the whole collection.
        exclude_seen: leave out the items of the history and the liked and disliked ones. False asks what the user takes
            next, repeats included.
        exact: score every item instead of the candidates from the graph indexes. Slower; use it to measure recall.
        parts: add the parts of each item's score.
        reasons: add to each item a sentence that explains it, in `language`.
        query_vectors: add the QUERY vector of each interest.
        probabilities: add the probability of each item; only for users and histories, in a space fitted to events.
        surface: where the list is shown, such as "home". Rules may be for one; `itemlens report` counts by it.
        filter: only items that match it, such as `in_stock and price < 60 and brand in ("Alto", "Kaya")`, or the same
            made by `where`.
        attributes: names of attributes to return with each item.
        group_by: an attribute, such as "model", of which items with one value are variants of one thing: only the best
            `per_group` of them are in the list, and `others` has the ids of the others.
        per_group: most items of a group.
        caps: most items with one value, by attribute, such as `{"brand": 3}`.
        fold_duplicates: list one of the items whose contents are equal in every channel, the best one; `others` has the
            ids of the others. Default: they may be different offers, so each has its place.
        facets: attributes whose values are counted over all items that may be in the list, at most 10; with
            `{"brand": 50}` up to 50 values of it, at most 100. Default: 10 values.
        disabled_rules: names of the collection's rules that do not apply to this list; `["*"]`: none applies.
        boosts: what is added to the scores of items; a text names a boost of the collection's settings.
        without_boosts: names of boosts of the settings that are on by default, but not in this list.
        collection: default: the client's.
        timeout: seconds in all, retries included. Default: the client's.
        side: the fields of UserSide: history, user_id, text, texts, picture, pictures, liked, disliked,
            query_vector, source_weights, channel_weights, behaviour_weight, max_interests.

    Raises:
        InvalidArgument: a field is wrong; `violations` says which.
        NotFound: there is no such collection, or none of the liked items or of the candidates.
        FailedPrecondition: `query_vector` is of another space, or there are no calibrated probabilities.
    """
    if k is not None and top_fraction is not None:
        raise ValueError("give k or top_fraction, not both")
    if candidates is not None and not candidates:
        # In the proto, an empty list means the whole collection. An empty list of candidates is a mistake.
        raise ValueError("candidates is empty; leave it out to rank the whole collection")
    deadline = session.deadline(timeout)
    where = session.where(collection)
    given = _build.merged_user_side(user, side)
    names = yield from _names(session, given, where, deadline)
    request = itemlens_pb2.RecommendRequest(
        collection=where,
        user=_build.user_side(given, names),
        candidate_item_ids=strings(candidates or (), "candidates"),
        exclude_seen=exclude_seen,
        exact=exact,
        with_parts=parts,
        with_reasons=reasons,
        language=one_of(language, get_args(Language), "language"),
        with_query_vectors=query_vectors,
        with_probabilities=probabilities,
        surface=string(surface, "surface"),
        attribute_names=strings(attributes, "attributes"),
        group_by=string(group_by, "group_by"),
        per_group=whole(per_group, "per_group"),
        caps=[
            itemlens_pb2.Cap(attribute=string(name, "caps"), most=whole(most, f"caps[{name!r}]"))
            for name, most in (caps or {}).items()
        ],
        fold_duplicates=fold_duplicates,
        facets=_facets(facets),
        disabled_rules=strings(disabled_rules, "disabled_rules"),
        boosts=_boosts.messages(boosts),
        without_boosts=strings(without_boosts, "without_boosts"),
    )
    _filter.put(filter, request)
    if k is not None:
        request.k = whole(k, "k")
    if top_fraction is not None:
        request.top_fraction = number(top_fraction, "top_fraction")
    reply = yield from call(session, "Recommend", request, itemlens_pb2.RecommendResponse, deadline)
    return _read.recommendations(reply)


def explain(
    session: Session,
    item_ids: Sequence[str],
    user: UserSide | str | None = None,
    *,
    recommendation_id: str | None = None,
    heat_map: HeatMapFormat | None = None,
    sums: bool = False,
    exclude_seen: bool | None = None,
    filter: str | Filter = "",
    surface: str = "",
    disabled_rules: Sequence[str] = (),
    boosts: Iterable[Boost | str] = (),
    without_boosts: Sequence[str] = (),
    language: Language = "en",
    collection: str | None = None,
    timeout: float | None = None,
    **side: Unpack[UserSideFields],
) -> Steps[Explanations]:
    """Explain the scores of items, as parts that add up to the score.

    Args:
        item_ids: ids of the items, at most 100. With a recommendation, they must be in its list.
        user: a user's id, or a UserSide. Its fields can be given as keyword arguments instead. If it has several
            interests, the one that scores an item highest explains the item.
        recommendation_id: explain the items as scored in this recommendation, instead of for `user`.
        heat_map: add heat maps of the pictures: "grid" for numbers, "png" for a picture.
        sums: add each channel's matrix of the user side's sources by the item's places.
        exclude_seen: explain the scores of a list with or without what the user has seen, as in `recommend`. Default:
            without. An item that the list leaves out has no score, and gets an error. Not with a recommendation.
        filter: explain the scores of a list with this filter, as in `recommend`. The error of an item that it leaves
            out says why. Not with a recommendation.
        surface: the surface of the list, as in `recommend`, for rules. Not with a recommendation.
        disabled_rules: rules that do not apply, as in `recommend`. The error of an item that a rule blocks names the
            rule. Not with a recommendation.
        boosts: explain the scores of a list with these, as in `recommend`. Not with a recommendation.
        without_boosts: boosts of the settings that are left out, as in `recommend`. Not with a recommendation.
        language: language of the sentences.
        collection: default: the client's.
        timeout: seconds in all, retries included. Default: the client's.
        side: the fields of UserSide, as in `recommend`.

    Returns:
        An Explanation for each item, in order. An item that cannot be explained has its own error.

    Raises:
        NotFound: the server no longer keeps the recommendation, or there is no such collection.
        InvalidArgument: a field is wrong; `violations` says which.
        FailedPrecondition: `query_vector` is of another space.
    """
    if recommendation_id is not None and (user is not None or side):
        raise ValueError("give a recommendation_id or a user's side, not both")
    if recommendation_id is not None and exclude_seen is not None:
        raise ValueError("exclude_seen is known of a recommendation; leave it out")
    if recommendation_id is not None and _filter.is_given(filter):
        raise ValueError("the filter is known of a recommendation; leave it out")
    if recommendation_id is not None and (surface or disabled_rules):
        raise ValueError("surface and disabled_rules are known of a recommendation; leave them out")
    if recommendation_id is not None and (boosts or without_boosts):
        raise ValueError("boosts are known of a recommendation; leave them out")
    deadline = session.deadline(timeout)
    where = session.where(collection)
    request = itemlens_pb2.ExplainRequest(
        collection=where,
        item_ids=strings(item_ids, "item_ids"),
        language=one_of(language, get_args(Language), "language"),
        heat_map=_heat_map_format(heat_map),
        with_sums=sums,
        exclude_seen=exclude_seen,
        surface=string(surface, "surface"),
        disabled_rules=strings(disabled_rules, "disabled_rules"),
        boosts=_boosts.messages(boosts),
        without_boosts=strings(without_boosts, "without_boosts"),
    )
    _filter.put(filter, request)
    if recommendation_id is not None:
        request.recommendation_id = recommendation_id
    else:
        given = _build.merged_user_side(user, side)
        names = yield from _names(session, given, where, deadline)
        request.user.CopyFrom(_build.user_side(given, names))
    reply = yield from call(session, "Explain", request, itemlens_pb2.ExplainResponse, deadline)
    return _read.explanations(reply)


def _names(session: Session, given: UserSide, collection: str, deadline: Deadline) -> Steps[Names]:
    if not _build.needs_names(given):
        return Names()
    return Names((yield from session.space_of(collection, deadline)))


def _facets(given: Sequence[str] | Mapping[str, int]) -> list[itemlens_pb2.FacetRequest]:
    if not isinstance(given, Mapping):
        return [itemlens_pb2.FacetRequest(attribute=name) for name in strings(given, "facets")]
    wanted = {string(name, "facets"): whole(most, f"facets[{name!r}]") for name, most in given.items()}
    for name, most in wanted.items():
        if not most:  # in the proto, 0 means the default
            raise ValueError(f"facets[{name!r}] is 0; give the number of values, at least 1")
    return [itemlens_pb2.FacetRequest(attribute=name, max_values=most) for name, most in wanted.items()]


def _heat_map_format(given: HeatMapFormat | None) -> itemlens_pb2.HeatMapFormat.ValueType:
    if given is None:
        return itemlens_pb2.HEAT_MAP_FORMAT_UNSPECIFIED
    name = one_of(given, get_args(HeatMapFormat), "heat_map")
    return itemlens_pb2.HeatMapFormat.Value(f"HEAT_MAP_FORMAT_{name.upper()}")


def _listed(pictures: Sequence[Picture]) -> list[Picture]:
    if isinstance(pictures, bytes | str):
        raise TypeError("pictures must be a list of pictures, not one; write [picture]")
    return listed(pictures, "pictures")


class BlockingUnderstand(Blocking):
    """The operations as blocking methods."""

    space = blocking(space)
    statistics = blocking(statistics)
    encode = blocking(encode)
    fuse = blocking(fuse)
    recommend = blocking(recommend)
    explain = blocking(explain)


class AwaitedUnderstand(Awaited):
    """The operations as awaited methods."""

    space = awaited(space)
    statistics = awaited(statistics)
    encode = awaited(encode)
    fuse = awaited(fuse)
    recommend = awaited(recommend)
    explain = awaited(explain)
