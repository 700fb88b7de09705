// For browsers too old for the page itself: plain words instead of a blank page. ES5, no module.
(function () {
  "use strict";
  function missing() {
    var list = [];
    if (!("noModule" in document.createElement("script"))) list.push("JavaScript modules");
    if (typeof HTMLScriptElement === "undefined" || !HTMLScriptElement.supports || !HTMLScriptElement.supports("importmap")) list.push("import maps");
    if (typeof DecompressionStream === "undefined") list.push("DecompressionStream");
    if (typeof WebSocket === "undefined") list.push("WebSocket");
    if (typeof createImageBitmap === "undefined") list.push("createImageBitmap");
    return list;
  }
  function say() {
    var list = missing();
    var box = document.getElementById("fatal");
    if (!list.length || !box) return;
    box.textContent = "This browser is too old for this page: it lacks " + list.join(", ") +
      ". Use Chrome or Edge 103, Firefox 113, Safari 16.4, or newer.";
    box.hidden = false;
  }
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", say);
  else say();
})();
